"""An error kept as a value, so that one of many can fail alone. Knows nothing of what is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

__all__ = ["outcome"]

_Args = TypeVarTuple("_Args")
_T = TypeVar("_T")


def outcome(step: Callable[[*_Args], _T], *args: *_Args) -> _T | Exception:
    """Return what the step returns, or the error it raises."""
    try:
        return step(*args)
    except Exception as error:
        return error
