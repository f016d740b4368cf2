"""Suggestions: what the typed beginning may go on to, from the catalogue and from what many shoppers asked.

Categories, searches, brands, phrases that titles share, and product titles, each found by the beginning of any of its words
(any character in Chinese); Chinese ones but titles also by their pinyin and its initials (``lyej`` for ``蓝牙耳机``).
Where nothing begins as typed, one slip is forgiven. Which searches may be in it is for :mod:`indexer.popular` to say.

On disk: ``prefix/keys`` (:mod:`engine.index.strings`, folded, sorted) and ``entries.npy`` int32 (entry of each key); of each
entry ``texts``, ``kinds.npy`` int8 and ``weights.npy`` float64. Knows nothing of search.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from engine.index.arrays import NO_ROWS, ArrayWriter, map_array
from engine.index.runs import Scratch, SortedRuns
from engine.index.snapshot import Part
from engine.index.strings import Strings, StringsWriter
from engine.language import fold, folded_line, is_stop, words
from engine.schema import Product, Suggestion

__all__ = ["PrefixBuilder", "PrefixIndex"]

_Kind = Literal["category", "query", "brand", "phrase", "product"]
_KINDS: tuple[_Kind, ...] = get_args(_Kind)
"""Of entries with one folded form the first kind is kept."""
_PHRASE = _KINDS.index("phrase")
_LEAST_SHARED = 3
_COUNTED = 300
"""Bytes that a text takes while it is counted."""
_BOOST = {"category": 1000.0, "query": 500.0, "brand": 300.0, "phrase": 30.0, "product": 0.0}
_KEYS_PER_ENTRY = 8
_SCANNED = 20_000
_SORTED = 64
_LEAST_FORGIVEN, _MOST_FORGIVEN = 4, 24
_HAN_FROM = "\u2fff"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class PrefixBuilder:
    """Collects products one at a time; :meth:`save` writes the suggestions."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lines = SortedRuns(scratch, "suggestions")
        self._most = max(1, scratch.buffer_bytes // _COUNTED)

    def add(self, product: Product) -> None:
        """Add the next product."""
        for name in product.category:
            self._counts["category", name] += 1
        if product.brand:
            self._counts["brand", product.brand] += 1
        if len(product.title) <= 80:
            self._counts["product", product.title] += 1
        found = words(product.title)
        for size in (2, 3):
            for first in range(len(found) - size + 1):
                part = found[first : first + size]
                text = product.title[part[0].start : part[-1].end]
                if not (is_stop(part[0]) or is_stop(part[-1]) or any(c in text for c in ",;()|/[]，。、（）")):
                    self._counts["phrase", fold(text)[0]] += 1
        if len(self._counts) >= self._most:
            self._flush()

    def add_query(self, text: str, users: int) -> None:
        """Add a search that ``users`` different people made."""
        self._counts["query", text] += users

    def _flush(self) -> None:
        for (kind, text), count in self._counts.items():
            self._lines.add(b"%s\t%d\t%s\t%d" % (fold(text)[0].encode(), _KINDS.index(kind), text.encode(), count))
        self._counts.clear()

    def save(self, folder: Path) -> dict[str, int]:
        """Write the suggestions into ``folder`` and return their count."""
        folder.mkdir(parents=True, exist_ok=True)
        self._flush()
        texts, pairs = StringsWriter(folder / "texts"), SortedRuns(self._scratch, "keys")
        kinds, weights = ArrayWriter(folder / "kinds.npy", "b"), ArrayWriter(folder / "weights.npy", "d")
        for _, same in itertools.groupby(self._summed(), key=lambda entry: entry[0]):
            kind, text, count = next((e[1:] for e in same if e[1] != _PHRASE or e[3] >= _LEAST_SHARED), (_PHRASE, "", 0))
            if not text:
                continue
            for key in _keys(text, _KINDS[kind] != "product"):
                pairs.add(b"%s\t%08x" % (key.encode(), len(kinds)))
            texts.add(text)
            kinds.append(kind)
            weights.append(_BOOST[_KINDS[kind]] * (count > 0) + count)
        keys, entries = StringsWriter(folder / "keys"), ArrayWriter(folder / "entries.npy", "i")
        for pair in pairs:
            begins, _, entry = pair.rpartition(b"\t")
            keys.add(begins.decode())
            entries.append(int(entry, 16))
        for writer in (keys, entries, kinds, weights):
            writer.close()
        return {"suggestions": texts.close()}

    def _summed(self) -> Iterator[tuple[bytes, int, str, int]]:
        """Yield the folded form, the kind, the text and the count of everything, the same text of the same kind once."""
        for said, same in itertools.groupby(self._lines, key=lambda line: line.rpartition(b"\t")[0]):
            folded, kind, named = said.split(b"\t")
            yield folded, int(kind), named.decode(), sum(int(line.rpartition(b"\t")[2]) for line in same)


def _keys(text: str, spoken: bool) -> set[str]:
    folded = folded_line(text)
    starts = [0]
    starts += [i for i in range(1, len(folded)) if folded[i - 1] == " " or folded[i] > _HAN_FROM]
    keys = {folded[i : i + 40] for i in starts[:_KEYS_PER_ENTRY]}
    if spoken and any(c > _HAN_FROM for c in folded):
        from pypinyin import lazy_pinyin  # slow to import, and suggesting needs none

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
    """The saved suggestions of all parts of a snapshot. Thread-safe: nothing on it changes."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = [_Saved(part.folder / "prefix") for part in parts]

    def suggest(self, typed: str, limit: int) -> list[Suggestion]:
        """Return at most ``limit`` completions of ``typed``, the most common first, ties by text."""
        prefix = folded_line(typed)
        if not prefix:
            return []
        found = [entry for part in self._parts for entry in part.beginning(prefix)]
        if not found and _LEAST_FORGIVEN <= len(prefix) <= _MOST_FORGIVEN and prefix.isascii():
            slips = list(dict.fromkeys(_slips(prefix)))
            found = [entry for part in self._parts for entry in part.beginning(*slips)]
        once: dict[str, tuple[str, _Kind]] = {}
        for _, text, kind in sorted(found, key=lambda entry: (-entry[0], entry[1])):
            once.setdefault(fold(text)[0] if len(self._parts) > 1 else text, (text, kind))
        return [_suggestion(text, kind, prefix) for text, kind in itertools.islice(once.values(), limit)]


class _Saved:
    """The suggestions of one part."""

    def __init__(self, folder: Path) -> None:
        self._keys, self._texts = Strings(folder / "keys"), Strings(folder / "texts")
        self._entries, self._kinds, self._weights = (map_array(folder / f"{n}.npy") for n in ("entries", "kinds", "weights"))

    def beginning(self, *prefixes: str) -> list[tuple[float, str, _Kind]]:
        """Return weight, text and kind of what has a key that begins with any of ``prefixes``; only the heaviest of very many."""
        entries = np.unique(np.concatenate([NO_ROWS, *map(self._beginning, prefixes)]))
        return [(float(self._weights[n]), self._texts[n], _KINDS[self._kinds[n]]) for n in entries.tolist()]

    def _beginning(self, prefix: str) -> NDArray[np.int32]:
        first = self._keys.bisect(prefix)
        if first == len(self._keys) or not self._keys[first].startswith(prefix):
            return np.empty(0, np.int32)
        last = self._keys.bisect(prefix + "\U0010ffff")
        entries = np.unique(self._entries[first : min(last, first + _SCANNED)])
        if len(entries) > _SORTED:
            entries = entries[np.argpartition(-self._weights[entries], _SORTED)[:_SORTED]]
        return np.asarray(entries, np.int32)


def _suggestion(text: str, kind: _Kind, prefix: str) -> Suggestion:
    folded, places = fold(text)
    at = folded.find(prefix)
    while at > 0 and folded[at - 1].isalnum() and folded[at] < _HAN_FROM:
        at = folded.find(prefix, at + 1)
    spans = [(places[at], places[at + len(prefix) - 1] + 1)] if at >= 0 else []
    return Suggestion(text=text, kind=kind, spans=spans)
