"""Model numbers, SKUs and EANs, found exactly in every written form.

Codes are compared by :func:`engine.language.normalize_code`, so ``TN-2110``, ``tn 2110`` and ``ＴＮ２１１０`` are one.
In a query, neighbouring words are joined until they make a known code; the longest wins.

On disk: ``codes/codes.txt`` (sorted, one a line, repeated for each product) and ``codes/rows.npy`` int32. Knows
nothing of scores.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.index.arrays import map_array
from engine.language import Word, normalize_code
from engine.schema import Product

__all__ = ["CodeIndex", "CodeMatch", "codes_of", "save_codes"]

_MOST_WORDS = 6


@dataclass(frozen=True, slots=True)
class CodeMatch:
    """A code found in a query: the words ``first`` up to ``last`` (not included) and the products that bear it."""

    code: str
    first: int
    last: int
    rows: tuple[int, ...]


def _is_code(code: str) -> bool:
    """Codes have a digit; short ones, and short plain numbers, are too common to be exact."""
    return len(code) >= (5 if code.isdigit() else 4) and any(c.isdigit() for c in code)


def codes_of(product: Product) -> set[str]:
    """Return the normalised codes of a product: its id, model number and GTINs, the latter also without zeros."""
    codes = {normalize_code(c) for c in (product.id, product.mpn, *product.gtin)}
    codes |= {normalize_code(g).lstrip("0") for g in product.gtin}
    return {c for c in codes if _is_code(c)}


def save_codes(codes: Sequence[set[str]], folder: Path) -> dict[str, int]:
    """Write the codes of every product (in row order) into ``folder`` and return the count."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = sorted((code, row) for row, found in enumerate(codes) for code in found)
    (folder / "codes.txt").write_text("\n".join(code for code, _ in pairs), "utf-8")
    np.save(folder / "rows.npy", np.fromiter((r for _, r in pairs), np.int32, len(pairs)), allow_pickle=False)
    return {"codes": len(pairs)}


class CodeIndex:
    """A saved code list. Thread-safe: nothing on it changes."""

    def __init__(self, folder: Path) -> None:
        text = (folder / "codes.txt").read_text("utf-8")
        self._codes = text.split("\n") if text else []
        self._rows = map_array(folder / "rows.npy")

    def rows(self, code: str) -> tuple[int, ...]:
        """Return the rows that bear a normalised code, in order."""
        first = last = bisect_left(self._codes, code)
        while last < len(self._codes) and self._codes[last] == code:
            last += 1
        return tuple(int(r) for r in self._rows[first:last])

    def find(self, text: str, found: Sequence[Word]) -> list[CodeMatch]:
        """Return the codes in a query, left to right, longest first, without overlaps."""
        matches: list[CodeMatch] = []
        first = 0
        while first < len(found):
            match = self._longest(text, found, first)
            if match is not None:
                matches.append(match)
            first = match.last if match is not None else first + 1
        return matches

    def _longest(self, text: str, found: Sequence[Word], first: int) -> CodeMatch | None:
        for last in range(min(len(found), first + _MOST_WORDS), first, -1):
            code = normalize_code(text[found[first].start : found[last - 1].end])
            for form in (code, code.lstrip("0")):
                if _is_code(form) and (rows := self.rows(form)):
                    return CodeMatch(form, first, last, rows)
        return None
