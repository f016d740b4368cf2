"""Model numbers, SKUs and EANs, found exactly in every written form.

Codes are compared by :func:`engine.language.normalize_code`, so ``TN-2110``, ``tn 2110`` and ``ＴＮ２１１０`` are one.
In a query, neighbouring words are joined until they make a known code; the longest wins.

On disk: ``codes/codes`` (:mod:`engine.index.strings`, sorted, repeated for each product) and ``codes/rows.npy`` int32.
Knows nothing of scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.index.arrays import NO_ROWS, ArrayWriter, map_array
from engine.index.runs import Scratch, SortedRuns
from engine.index.snapshot import Part
from engine.index.strings import Strings, StringsWriter
from engine.language import Word, normalize_code
from engine.schema import Product

__all__ = ["CodeIndex", "CodeMatch", "CodesBuilder", "codes_of"]

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


class CodesBuilder:
    """Collects products one at a time, in row order; :meth:`save` writes their codes."""

    def __init__(self, scratch: Scratch) -> None:
        self._pairs = SortedRuns(scratch, "codes")
        self._n = 0

    def add(self, product: Product) -> None:
        """Add the codes of the next product."""
        for code in codes_of(product):
            self._pairs.add(b"%s\t%08x" % (code.encode(), self._n))
        self._n += 1

    def save(self, folder: Path) -> dict[str, int]:
        """Write the codes into ``folder`` and return their count."""
        codes, rows = StringsWriter(folder / "codes"), ArrayWriter(folder / "rows.npy", "i")
        for pair in self._pairs:
            code, _, row = pair.rpartition(b"\t")
            codes.add(code.decode())
            rows.append(int(row, 16))
        rows.close()
        return {"codes": codes.close()}


class CodeIndex:
    """The saved codes of all parts of a snapshot. Thread-safe: nothing on it changes."""

    def __init__(self, parts: Sequence[Part], dead: NDArray[np.int64] = NO_ROWS) -> None:
        self._parts = [
            (Strings(part.folder / "codes" / "codes"), map_array(part.folder / "codes" / "rows.npy"), part.first) for part in parts
        ]
        self._dead = dead

    def rows(self, code: str) -> tuple[int, ...]:
        """Return the rows that bear a normalised code, in order."""
        found: list[int] = []
        for codes, rows, offset in self._parts:
            first = last = codes.bisect(code)
            while last < len(codes) and codes[last] == code:
                last += 1
            found += (rows[first:last] + offset).tolist()
        return tuple(found if not len(self._dead) else (row for row in found if not np.isin(row, self._dead)))

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
