"""Suggestions: what the typed beginning may go on to, from the catalogue and from what many shoppers asked.

Categories, searches, brands, phrases that titles share, and product titles, each found by the beginning of any of its words
(any character in Chinese); Chinese ones but titles also by their pinyin and its initials (``lyej`` for ``蓝牙耳机``).
Where nothing begins as typed, one slip is forgiven. Which searches may be in it is for :mod:`indexer.popular` to say.

On disk: ``prefix/keys.txt`` (folded, sorted, one a line), ``entries.npy`` int32 (entry of each key) and
``entries.jsonl`` (``[text, kind, weight]`` a line). Knows nothing of search.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from pypinyin import lazy_pinyin

from engine.language import fold, folded_line, is_stop, words
from engine.schema import Product, Suggestion

__all__ = ["PrefixBuilder", "PrefixIndex"]

_BOOST = {"category": 1000.0, "query": 500.0, "brand": 300.0, "phrase": 30.0, "product": 0.0}
_KEYS_PER_ENTRY = 8
_SCANNED = 20_000
_SORTED = 64
_LEAST_FORGIVEN, _MOST_FORGIVEN = 4, 24
_HAN_FROM = "\u2fff"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


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

    def add_query(self, text: str, users: int) -> None:
        """Add a search that ``users`` different people made."""
        self._counts["query"][text] += users

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
        pairs = sorted((key, n) for n, (text, kind, _) in enumerate(entries) for key in _keys(text, kind != "product"))
        (folder / "keys.txt").write_text("\n".join(key for key, _ in pairs), "utf-8")
        np.save(folder / "entries.npy", np.fromiter((n for _, n in pairs), np.int32, len(pairs)), allow_pickle=False)
        (folder / "entries.jsonl").write_bytes(b"\n".join(orjson.dumps(e) for e in entries))
        return {"suggestions": len(entries)}


def _keys(text: str, spoken: bool) -> set[str]:
    folded = folded_line(text)
    starts = [0]
    starts += [i for i in range(1, len(folded)) if folded[i - 1] == " " or folded[i] > _HAN_FROM]
    keys = {folded[i : i + 40] for i in starts[:_KEYS_PER_ENTRY]}
    if spoken and any(c > _HAN_FROM for c in folded):
        sounds = lazy_pinyin(folded)
        keys |= {"".join(sounds)[:40], "".join(sound[0] for sound in sounds)[:40]}
    return keys


def _slips(typed: str) -> Iterator[str]:
    """Yield what may have been meant by a beginning with one slip, its first letter taken as meant."""
    for i in range(1, len(typed)):
        if i + 1 < len(typed):
            yield typed[:i] + typed[i + 1] + typed[i] + typed[i + 2 :]
        yield typed[:i] + typed[i + 1 :]
    for i in range(1, len(typed) + 1):
        for letter in _LETTERS:
            yield typed[:i] + letter + typed[i:]
            if i < len(typed):
                yield typed[:i] + letter + typed[i + 1 :]


class PrefixIndex:
    """Saved suggestions. Thread-safe: nothing on it changes."""

    def __init__(self, folder: Path) -> None:
        text = (folder / "keys.txt").read_text("utf-8")
        self._keys = text.split("\n") if text else []
        self._entries = np.load(folder / "entries.npy", allow_pickle=False)
        lines = (folder / "entries.jsonl").read_bytes()
        self._texts: list[tuple[str, Literal["category", "query", "brand", "product", "phrase"], float]] = [
            tuple(orjson.loads(line)) for line in lines.split(b"\n") if line
        ]
        self._weights = np.array([weight for _, _, weight in self._texts], np.float64)

    def suggest(self, typed: str, limit: int) -> list[Suggestion]:
        """Return at most ``limit`` completions of ``typed``, the most common first, ties by text."""
        prefix = folded_line(typed)
        if not prefix:
            return []
        entries = self._beginning(prefix)
        if not len(entries) and _LEAST_FORGIVEN <= len(prefix) <= _MOST_FORGIVEN and prefix.isascii():
            slips = dict.fromkeys(_slips(prefix))
            entries = np.unique(np.concatenate([np.empty(0, np.int32), *map(self._beginning, slips)]))
        best = sorted(entries, key=lambda n: (-self._weights[n], self._texts[n][0]))[:limit]
        return [self._suggestion(int(n), prefix) for n in best]

    def _beginning(self, prefix: str) -> NDArray[np.int32]:
        """Return the entries that a key begins with ``prefix`` for; only the heaviest of very many."""
        first = bisect_left(self._keys, prefix)
        if first == len(self._keys) or not self._keys[first].startswith(prefix):
            return np.empty(0, np.int32)
        last = bisect_left(self._keys, prefix + "\U0010ffff", lo=first)
        entries = np.unique(self._entries[first : min(last, first + _SCANNED)])
        if len(entries) > _SORTED:
            entries = entries[np.argpartition(-self._weights[entries], _SORTED)[:_SORTED]]
        return np.asarray(entries, np.int32)

    def _suggestion(self, entry: int, prefix: str) -> Suggestion:
        text, kind, _ = self._texts[entry]
        folded, places = fold(text)
        at = folded.find(prefix)
        while at > 0 and folded[at - 1].isalnum() and folded[at] < _HAN_FROM:
            at = folded.find(prefix, at + 1)
        spans = [(places[at], places[at + len(prefix) - 1] + 1)] if at >= 0 else []
        return Suggestion(text=text, kind=kind, spans=spans)
