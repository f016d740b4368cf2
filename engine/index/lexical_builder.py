"""Postings of BM25F from products, one at a time, with memory that does not grow with the catalogue.

In: text per field. Out: the files :mod:`engine.index.lexical` reads. Postings wait on disk until lengths and rarities are
known, and are then sorted by term, piece by piece. Knows nothing of queries.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.index.arrays import ArrayWriter, RawArray, create_array, map_array, places_in_order
from engine.index.hashed import HashedStrings, Numbers
from engine.index.lexical import K1
from engine.index.runs import Scratch
from engine.index.strings import Strings
from engine.language import Word, terms, words
from engine.text import FIELDS

__all__ = ["B", "LexicalBuilder"]

B = 0.6
_AFFIRMING = frozenset({"title", "brand", "category", "attributes"})
_NEGATING = r"no|not|non|without|free of|never"
_NEGATION = re.compile(rf"(?:\b(?:{_NEGATING})[\s-]*|不含|不|无|無|非|免|没有)$", re.IGNORECASE)
_NEGATED_AFTER = re.compile(r"^[\s-]*free\b", re.IGNORECASE)
_ANY_NEGATION = re.compile(rf"\b(?:{_NEGATING})|free|[不无無非免没]", re.IGNORECASE)
_ALTERNATIVES = frozenset("/+&")
"""Signs between words that each stand for themselves: ``gray/black`` is black."""

_SAID = np.dtype([("term", "<i8"), ("row", "<i4"), ("count", "<u2"), ("field", "i1"), ("affirmed", "i1")])
_POSTING = np.dtype([("term", "<i4"), ("row", "<i4"), ("share", "<f8"), ("affirmed", "i1")])
_SORTING = 8
"""Times its own size that sorting a piece takes."""


class LexicalBuilder:
    """Collects products one at a time; :meth:`save` writes the index.

    A delta goes by the mean lengths and the rarity of words in its ``base``, the folder of another index.
    """

    def __init__(self, scratch: Scratch, base: Path | None = None) -> None:
        self._scratch, self._base = scratch, base
        self._strings = HashedStrings(scratch, "terms")
        self._said, self._postings = (
            RawArray(scratch.folder / f"{name}.raw", dtype) for name, dtype in (("said", _SAID), ("postings", _POSTING))
        )
        self._most = max(1, scratch.buffer_bytes // (_SORTING * _SAID.itemsize))
        self._lengths = ArrayWriter(scratch.folder / "lengths.npy", "i")
        self._lengths_path = scratch.folder / "lengths.npy"
        self._n = 0
        self._empty()

    def _empty(self) -> None:
        self._terms, self._rows = array("q"), array("i")
        self._fields, self._counts, self._affirmed = array("b"), array("H"), array("b")

    def add(self, fields: Mapping[str, str]) -> None:
        """Add the next product: text per field of :data:`engine.text.FIELDS`."""
        row = self._n
        self._n += 1
        for number, name in enumerate(FIELDS):
            text = fields.get(name, "")
            found = words(text)
            counts: Counter[str] = Counter()
            affirmed: set[str] = set()
            affirming = name in _AFFIRMING
            negated = _negated_words(text, found) if affirming else frozenset()
            for term in terms(found):
                counts[term.text] += 1
                stated = term.cover == 1.0 or (term.cover > 0 and not _ALTERNATIVES.isdisjoint(found[term.word].text))
                if affirming and stated and term.word not in negated:
                    affirmed.add(term.text)
            for text_, count in counts.items():
                self._terms.append(self._strings.add(text_))
                self._counts.append(min(count, 65535))
                self._affirmed.append(text_ in affirmed)
            self._rows.extend([row] * len(counts))
            self._fields.extend([number] * len(counts))
            self._lengths.append(len(found))
        if len(self._terms) >= self._most:
            self._flush()

    def _flush(self) -> None:
        piece = np.empty(len(self._terms), _SAID)
        for name, values in zip(
            ("term", "row", "count", "field", "affirmed"),
            (self._terms, self._rows, self._counts, self._fields, self._affirmed),
            strict=True,
        ):
            piece[name] = np.frombuffer(values, _SAID[name]) if len(values) else 0
        self._said.append(piece)
        self._empty()

    def save(self, folder: Path) -> dict[str, int]:
        """Write the index into ``folder`` and return its counts."""
        folder.mkdir(parents=True, exist_ok=True)
        if self._terms:
            self._flush()
        numbers = self._strings.save(folder / "terms")
        mean = self._mean_lengths()
        documents = self._combine(numbers, mean)
        idf = self._rarity(folder / "terms", documents)
        indptr = np.concatenate(([0], np.cumsum(documents))).astype(np.int64)
        size = int(indptr[-1])
        out = {
            name: create_array(self._scratch.folder / f"{name}.npy", dtype, size)
            for name, dtype in (("rows", np.int32), ("impacts", np.float32), ("affirmed", np.bool_))
        }
        cursor = indptr[:-1].copy()
        for piece in self._postings:
            at = places_in_order(piece["term"], cursor)
            out["rows"][at] = piece["row"]
            out["impacts"][at] = idf[piece["term"]] * piece["share"]
            out["affirmed"][at] = piece["affirmed"]
        for name, values in out.items():
            np.save(folder / f"{name}.npy", values, allow_pickle=False)
            (self._scratch.folder / f"{name}.npy").unlink()
        np.save(folder / "indptr.npy", indptr, allow_pickle=False)
        np.save(folder / "idf.npy", idf.astype(np.float32), allow_pickle=False)
        np.save(folder / "mean.npy", mean, allow_pickle=False)
        np.save(folder / "products.npy", np.array([self._n], np.int64), allow_pickle=False)
        self._said.remove()
        self._postings.remove()
        return {"terms": len(idf), "postings": size}

    def _mean_lengths(self) -> NDArray[np.float64]:
        """Return the mean length of each field."""
        self._lengths.close()
        if self._base:
            return map_array(self._base / "mean.npy")
        lengths = map_array(self._lengths_path).reshape(-1, len(FIELDS))
        return np.maximum(lengths.mean(axis=0), 1e-9) if len(lengths) else np.ones(len(FIELDS))

    def _rarity(self, terms: Path, documents: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the inverse document frequency of each term."""
        if not self._base:
            return np.asarray(np.log1p((self._n - documents + 0.5) / (documents + 0.5)), np.float64)
        known, rarity = Strings(self._base / "terms"), map_array(self._base / "idf.npy")
        n = int(map_array(self._base / "products.npy")[0])
        idf: NDArray[np.float64] = np.asarray(np.log1p(np.maximum(n - documents + 0.5, 0.5) / (documents + 0.5)), np.float64)
        for place, term in enumerate(Strings(terms)):
            if (at := known.find(term)) >= 0:
                idf[place] = rarity[at]
        return idf

    def _combine(self, numbers: Numbers, mean: NDArray[np.float64]) -> NDArray[np.int64]:
        """Write what each product says of each term in all fields together, and return how many products say each term."""
        lengths = map_array(self._lengths_path).reshape(-1, len(FIELDS))
        weight = np.fromiter(FIELDS.values(), np.float64)
        documents = np.zeros(len(numbers), np.int64)
        for said in self._said:
            term, row, field = numbers.of(said["term"]), said["row"], said["field"]
            norm = 1 - B + B * lengths[row, field] / mean[field]
            frequency = weight[field] * said["count"] / norm
            keys, order, first = _grouped(term.astype(np.int64) * max(len(lengths), 1) + row)
            total = np.add.reduceat(frequency[order], first)
            posting: NDArray[Any] = np.empty(len(keys), _POSTING)
            posting["term"], posting["row"] = keys // len(lengths), keys % len(lengths)
            posting["share"] = total / (K1 + total)
            posting["affirmed"] = np.maximum.reduceat(said["affirmed"][order], first)
            documents += np.bincount(posting["term"], minlength=len(numbers))
            self._postings.append(posting)
        return documents


def _grouped(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the different keys, an order that sorts all, and where each key begins in it."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return ordered[first], order, first


def _negated_words(text: str, found: list[Word]) -> frozenset[int]:
    """Return the places of words that a negation stands before or after."""
    if not _ANY_NEGATION.search(text):
        return frozenset()
    return frozenset(place for place, word in enumerate(found) if _negated(text, word))


def _negated(text: str, word: Word) -> bool:
    before, after = text[max(0, word.start - 9) : word.start], text[word.end : word.end + 6]
    return bool(_NEGATION.search(before) or _NEGATED_AFTER.match(after))
