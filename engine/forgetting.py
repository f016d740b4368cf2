"""Every function of the engine that remembers what it was given lets go of it: it may be somebody's words."""

from __future__ import annotations

import sys

__all__ = ["forget_texts"]

_FEW = 100
"""Caches of no more entries hold tables of ours, not what people typed."""


def forget_texts() -> None:
    """Empty the caches of all functions of the engine that keep more than a few texts."""
    for name, module in list(sys.modules.items()):
        if name.startswith("engine."):
            for found in list(vars(module).values()):
                info = getattr(found, "cache_info", None)
                if info is not None and hasattr(found, "cache_clear") and (info().maxsize or _FEW + 1) > _FEW:
                    found.cache_clear()
