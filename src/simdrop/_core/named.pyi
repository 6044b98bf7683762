from typing import TypeVar

_F = TypeVar("_F")

def explained(function: _F) -> _F: ...
