"""What docs/how-to/pytorch.md and the docstrings say."""

import doctest
import pathlib
import re

import torch

import simdrop
import simdrop.torch
from simdrop.torch import _convert, _patch, functional, modules

PAGE = pathlib.Path(__file__).parents[2] / "docs/how-to/pytorch.md"


def test_blocks_run():
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(block, names)
    expected = simdrop.Stream(0).mask(8, 0.5).apply(torch.ones(8).numpy())
    assert torch.equal(names["y"], torch.from_numpy(expected))
    assert type(names["model"][1]) is simdrop.torch.Dropout2d


def test_the_table_has_every_name():
    table = {
        name
        for row in re.findall(r"^\|.*\|$", PAGE.read_text(), re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert set(functional.__all__) | set(modules.__all__) <= table
    assert set(simdrop.torch.__all__) == {
        *modules.__all__,
        "convert",
        "functional",
        "install",
        "patch",
    }


def test_examples():
    for module in (functional, _convert, _patch):
        found = doctest.testmod(module)
        assert found.attempted and not found.failed
