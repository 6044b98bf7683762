"""Settings: all that decides what a training run computes, but for the data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The net and how it is trained; the names and meanings are those of the command's options."""

    hidden: tuple[int, ...]
    activation: str
    dropout: str
    p: float
    p_input: float
    activity_l1: float
    only: str
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    lr_schedule: str
    momentum: float
    nesterov: bool
    l2: float
    l1: float
    max_norm: float | None
    validation: float
    seed: int
