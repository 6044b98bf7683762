"""What the inputs and outputs of a trained net mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from simdrop import _schema

from .inputs import Column, Scaling, columns_from_json

Label = bool | int | str


@dataclass(frozen=True, eq=False)
class Signature:
    """How a user's data become a net's inputs, and what its outputs are.

    Attributes
    ----------
    classes : tuple of int, of bool or of str
        The label of each output, sorted; empty in regression.
    scaling : Scaling
        Of inputs, after categories are encoded.
    target_scaling : Scaling
        Of the numbers that a net for regression predicts.
    columns : tuple of Column or None
        The columns of a table that are its inputs, in their order.
    target : str or None
        The column that is predicted.
    span : tuple of float
        The smallest and the largest input of the training set, before scaling.
    """

    classes: tuple[Label, ...] = ()
    scaling: Scaling = Scaling("none")
    target_scaling: Scaling = Scaling("none")
    columns: tuple[Column, ...] | None = None
    target: str | None = None
    span: tuple[float, float] = (0.0, 0.0)

    def __repr__(self) -> str:
        parts = [f"{len(self.classes)} classes"] if self.classes else []
        parts += [f"inputs scaled: {self.scaling.kind}"]
        if self.columns is not None:
            parts.append(f"{len(self.columns)} columns")
        if self.target is not None:
            parts.append(f"target {self.target[:40]!r}")
        return f"Signature({', '.join(parts)})"

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        columns = self.columns
        if columns is not None:
            listed = [{"name": c.name, "categories": c.categories} for c in columns]
        return {
            "classes": list(self.classes),
            "scaling": self.scaling.as_json(),
            "target_scaling": self.target_scaling.as_json(),
            "columns": None if columns is None else listed,
            "target": self.target,
            "span": list(self.span),
        }

    @classmethod
    def from_json(cls, value: Any, name: str, n_in: int, n_out: int) -> Self:
        """Of a net of so many inputs and outputs; ValueError for what no training writes."""
        _schema.fields(
            classes=_schema.items(_label),
            scaling=_schema.anything,
            target_scaling=_schema.anything,
            columns=_schema.anything,
            target=_schema.optional(_schema.text),
            span=_schema.items(_schema.number("that is finite", lambda value: True)),
        )(value, name)
        classes = tuple(value["classes"])
        kinds = {type(label) for label in classes}
        if len(kinds) > 1 or list(classes) != sorted(set(classes)):
            raise ValueError(f"{name}.classes are not distinct and sorted labels of one kind")
        if classes and len(classes) != n_out:
            _schema.refuse(len(classes), f"the length of {name}.classes", f"{n_out}, as of outputs")
        if len(value["span"]) != 2:
            _schema.refuse(value["span"], f"{name}.span", "two numbers")
        columns = None
        if value["columns"] is not None:
            columns = columns_from_json(value["columns"], f"{name}.columns")
            width = sum(column.width for column in columns)
            if width != n_in:
                _schema.refuse(width, f"the width of {name}.columns", f"{n_in}, as of inputs")
        return cls(
            classes,
            Scaling.from_json(value["scaling"], f"{name}.scaling", n_in),
            Scaling.from_json(value["target_scaling"], f"{name}.target_scaling", n_out),
            columns,
            value["target"],
            (float(value["span"][0]), float(value["span"][1])),
        )


def _label(value: Any, name: str) -> None:
    if not isinstance(value, bool | int | str):
        _schema.refuse(value, name, "a label: a whole number, a string, true or false")
