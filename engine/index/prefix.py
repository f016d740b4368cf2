"""Suggestions: what the typed beginning may go on to, from the catalogue alone.

Categories, brands, phrases that titles share, and product titles, each found by the beginning of any of its words
(any character in Chinese). No shopper's query is in it, so nothing personal can be.

On disk: ``prefix/keys.txt`` (folded, sorted, one a line), ``entries.npy`` int32 (entry of each key) and
``entries.jsonl`` (``[text, kind, weight]`` a line). Knows nothing of search.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import orjson

from engine.language import fold, is_stop, words
from engine.schema import Product, Suggestion

__all__ = ["PrefixBuilder", "PrefixIndex"]

_BOOST = {"category": 1000.0, "brand": 300.0, "phrase": 30.0, "product": 0.0}
_KEYS_PER_ENTRY = 8
_SCANNED = 20_000


class PrefixBuilder:
    """Collects products one at a time; :meth:`save` writes the suggestions."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {kind: Counter() for kind in _BOOST}

    def add(self, product: Product) -> None:
        """Add the next product."""
        for name in product.category:
            self._counts["category"][name] += 1
        if product.brand:
            self._counts["brand"][product.brand] += 1
        if len(product.title) <= 80:
            self._counts["product"][product.title] += 1
        found = words(product.title)
        for size in (2, 3):
            for first in range(len(found) - size + 1):
                part = found[first : first + size]
                text = product.title[part[0].start : part[-1].end]
                if not (is_stop(part[0]) or is_stop(part[-1]) or any(c in text for c in ",;()|/[]，。、（）")):
                    self._counts["phrase"][fold(text)[0]] += 1

    def save(self, folder: Path) -> dict[str, int]:
        """Write the suggestions into ``folder`` and return their count."""
        folder.mkdir(parents=True, exist_ok=True)
        entries: list[tuple[str, str, float]] = []
        seen: set[str] = set()
        for kind, counts in self._counts.items():
            for text, count in sorted(counts.items()):
                if (kind == "phrase" and count < 3) or fold(text)[0] in seen:
                    continue
                seen.add(fold(text)[0])
                entries.append((text, kind, _BOOST[kind] * (count > 0) + count))
        pairs = sorted((key, n) for n, (text, _, _) in enumerate(entries) for key in _keys(text))
        (folder / "keys.txt").write_text("\n".join(key for key, _ in pairs), "utf-8")
        np.save(folder / "entries.npy", np.fromiter((n for _, n in pairs), np.int32, len(pairs)), allow_pickle=False)
        (folder / "entries.jsonl").write_bytes(b"\n".join(orjson.dumps(e) for e in entries))
        return {"suggestions": len(entries)}


def _keys(text: str) -> set[str]:
    folded = " ".join(fold(text)[0].split())
    starts = [0]
    starts += [i for i in range(1, len(folded)) if folded[i - 1] == " " or folded[i] > "\u2fff"]
    return {folded[i : i + 40] for i in starts[:_KEYS_PER_ENTRY]}


class PrefixIndex:
    """Saved suggestions. Thread-safe: nothing on it changes."""

    def __init__(self, folder: Path) -> None:
        text = (folder / "keys.txt").read_text("utf-8")
        self._keys = text.split("\n") if text else []
        self._entries = np.load(folder / "entries.npy", allow_pickle=False)
        lines = (folder / "entries.jsonl").read_bytes()
        self._texts: list[tuple[str, Literal["category", "brand", "product", "phrase"], float]] = [
            tuple(orjson.loads(line)) for line in lines.split(b"\n") if line
        ]
        self._weights = np.array([weight for _, _, weight in self._texts], np.float64)

    def suggest(self, typed: str, limit: int) -> list[Suggestion]:
        """Return at most ``limit`` completions of ``typed``, the most common first, ties by text."""
        prefix = " ".join(fold(typed)[0].split())
        if not prefix:
            return []
        first = bisect_left(self._keys, prefix)
        last = bisect_left(self._keys, prefix + "\U0010ffff", lo=first)
        entries = np.unique(self._entries[first : min(last, first + _SCANNED)])
        best = sorted(entries, key=lambda n: (-self._weights[n], self._texts[n][0]))[:limit]
        return [self._suggestion(int(n), prefix) for n in best]

    def _suggestion(self, entry: int, prefix: str) -> Suggestion:
        text, kind, _ = self._texts[entry]
        folded, places = fold(text)
        at = folded.find(prefix)
        while at > 0 and folded[at - 1].isalnum() and folded[at] < "\u2fff":
            at = folded.find(prefix, at + 1)
        spans = [(places[at], places[at + len(prefix) - 1] + 1)] if at >= 0 else []
        return Suggestion(text=text, kind=kind, spans=spans)
