"""Field-weighted BM25 over terms, as plain arrays.

Scores follow BM25F (Robertson and Zaragoza, *The Probabilistic Relevance Framework*, 2009): the frequencies of a
term in the fields are length-normalised, weighted and added first, and saturated once. What a term adds to a
product does not depend on the query, so it is computed when indexing and stored: a query only adds up postings.

``k1`` is low (0.3), since repeating a word in product text is no evidence. Besides a score, each word of a query
gets its **coverage**: how much of the query, weighted by rarity, a product has. Also finds the products that
affirm a word, for exclusions: a term is affirmed where a field states it and no negation stands before it.

On disk: ``lexical/terms`` (:mod:`engine.index.strings`, sorted), ``indptr.npy`` int64 ``(terms + 1,)``, ``rows.npy`` int32,
``impacts.npy`` float32, ``affirmed.npy`` bool (one per posting), ``idf.npy`` float32, ``mean.npy`` float64 (the mean length of each
field) and ``products.npy`` int64 (how many). Written by :mod:`engine.index.lexical_builder`. Knows nothing of products.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.index.arrays import NO_ROWS, map_array
from engine.index.snapshot import Part
from engine.index.strings import Strings
from engine.language import Term, Word, is_stop, terms

__all__ = ["K1", "Concept", "LexicalIndex", "LexicalScores", "Measured"]

K1 = 0.3
_PAIR_WEIGHT = 0.3
_WHOLLY = 0.999
_REMEMBERED = 1 << 16
"""Terms whose place is remembered: looking it up reads the file."""


@dataclass(frozen=True, slots=True)
class Concept:
    """The words ``first`` up to ``last`` (not included) of a query, and other ways to say them."""

    first: int
    last: int
    alternatives: tuple[tuple[Word, ...], ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """The words ``first`` up to ``last`` (not included) of a query are a measure, which the products of the mask ``has``
    ``(n,)`` have, however they say it."""

    first: int
    last: int
    has: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LexicalScores:
    """``score`` float32 ``(n,)`` is BM25F, 0 where nothing matched; ``coverage`` float32 ``(n,)`` is in [0, 1]."""

    score: NDArray[np.float32]
    coverage: NDArray[np.float32]


class _Postings:
    """The postings of one part of a snapshot."""

    def __init__(self, part: Part) -> None:
        folder = part.folder / "lexical"
        self.rows = part.rows
        self.place = lru_cache(_REMEMBERED)(Strings(folder / "terms").find)
        self.indptr, self.at, self.impacts, self.affirmed, self.idf = (
            map_array(folder / f"{name}.npy") for name in ("indptr", "rows", "impacts", "affirmed", "idf")
        )

    def span(self, term: str) -> slice | None:
        """Return where the postings of a term lie."""
        place = self.place(term)
        return None if place < 0 else slice(int(self.indptr[place]), int(self.indptr[place + 1]))

    def add_word(self, group: Sequence[Term], share: float, score: NDArray[np.float32], coverage: NDArray[np.float32]) -> None:
        """Add one word to what the rows of this part have: the whole form scores fully, its parts and neighbouring pairs help
        a little."""
        whole = [(t, s) for t in group if (s := self.span(t.text)) is not None]
        if len(whole) == 1 and whole[0][0].cover == 1.0:
            span = whole[0][1]
            rows = self.at[span].astype(np.intp)  # numpy converts an index at every use
            score[rows] += self.impacts[span]
            coverage[rows] += np.float32(share)
            return
        part = np.zeros(len(score), np.float32)
        touched = []
        for term, span in whole:
            rows = self.at[span].astype(np.intp)
            score[rows] += self.impacts[span] * np.float32(max(term.cover, _PAIR_WEIGHT) if term.cover < 1 else 1.0)
            part[rows] += np.float32(term.cover)
            touched.append((rows, coverage[rows]))
        for rows, before in touched:  # a row of several terms is set to the same value each time
            coverage[rows] = before + np.minimum(part[rows], 1.0) * np.float32(share)


class LexicalIndex:
    """The saved postings of all parts of a snapshot, memory-mapped. Thread-safe: nothing on it changes.

    How rare a word is goes by the base, as its length norms do, until the delta is built into it.
    """

    def __init__(self, parts: Sequence[Part], dead: NDArray[np.int64] = NO_ROWS) -> None:
        self.n = sum(part.size for part in parts)
        self._parts = [_Postings(part) for part in parts]
        self._dead = dead
        idf = self._parts[0].idf
        self._rarest = float(idf.max()) if len(idf) else 1.0

    def spread(self, word: Word) -> int:
        """Return how many products have the word, in any form that is the whole word."""
        spread = 0
        for part in self._parts:
            spans = [part.span(t.text) for t in terms([word]) if t.cover == 1.0]
            spread += max((span.stop - span.start for span in spans if span is not None), default=0)
        return spread

    def search(
        self, found: Sequence[Word], concepts: Sequence[Concept] = (), measured: Sequence[Measured] = ()
    ) -> LexicalScores:
        """Score every product against the words of a query; words without a need of their own are left out.

        A product has a concept when it has its words or those of one of its alternatives, whichever it has best. It has a
        measure when it has its words, or what they say; a measure is as rare as the products that have it.
        """
        content = {i for i, w in enumerate(found) if not is_stop(w)} or set(range(len(found)))
        score = np.zeros(self.n, np.float32)
        coverage = np.zeros(self.n, np.float32)
        grouped: dict[int, list[Term]] = {}
        for term in terms(found):
            if term.word in content and (term.cover or term.word - 1 in content):
                grouped.setdefault(term.word, []).append(term)
        mass = {index: self._mass(group) for index, group in grouped.items()}
        meant = [(c, self._alternatives(c)) for c in concepts if any(i in grouped for i in range(c.first, c.last))]
        held = {i: (c, options) for c, options in meant if options for i in range(c.first, c.last)}
        for c, options in meant:
            if options:  # what is said in words the catalogue does not use weighs what it weighs in the catalogue's
                own = [i for i in range(c.first, c.last) if i in grouped]
                heavy = max(sum(self._mass(g) for g in groups) for groups in options)
                unknown = not any(self._known(grouped[i]) for i in own)
                share = (heavy if unknown else max(heavy, sum(mass[i] for i in own))) / len(own)
                mass.update(dict.fromkeys(own, share))
        apart = [m for m in measured if not any(i in held for i in range(m.first, m.last))]
        sizes = {i: m for m in apart for i in range(m.first, m.last) if i in grouped}
        for m in apart:
            own = [i for i in range(m.first, m.last) if i in grouped]
            mass.update(dict.fromkeys(own, self._rarity(int(np.count_nonzero(m.has))) / max(len(own), 1)))
        total = sum(mass.values()) or 1.0
        for index, group in grouped.items():
            if index not in held and index not in sizes:
                self._add_word(group, mass[index] / total, score, coverage)
        for m in apart:
            said = {i: grouped[i] for i in range(m.first, m.last) if i in grouped}
            if said:
                self._add_measure(m, said, mass, total, score, coverage)
        for c, options in meant:
            if options:
                said = {i: grouped[i] for i in range(c.first, c.last) if i in grouped}
                self._add_concept(said, mass, options, total, score, coverage)
        score[self._dead] = coverage[self._dead] = 0
        return LexicalScores(score, coverage)

    def _alternatives(self, concept: Concept) -> list[list[list[Term]]]:
        """Return the alternatives all of whose words some product has, each as one list of terms for each word."""
        out = []
        for option in concept.alternatives:
            groups: dict[int, list[Term]] = {}
            for term in terms(option):
                groups.setdefault(term.word, []).append(term)
            if groups and all(self._known(group) for group in groups.values()):
                out.append(list(groups.values()))
        return out

    def _known(self, group: Sequence[Term]) -> bool:
        return any(t.cover == 1.0 and part.place(t.text) >= 0 for t in group for part in self._parts)

    def _add_concept(
        self,
        own: Mapping[int, list[Term]],
        mass: Mapping[int, float],
        options: Sequence[Sequence[list[Term]]],
        total: float,
        score: NDArray[np.float32],
        coverage: NDArray[np.float32],
    ) -> None:
        """Add one concept: the best of its own words and of each alternative."""
        whole = sum(mass[i] for i in own)
        best_score, best_cover = np.zeros(self.n, np.float32), np.zeros(self.n, np.float32)
        for groups in (list(own.values()), *options):
            one, cover = np.zeros(self.n, np.float32), np.zeros(self.n, np.float32)
            weights = [self._mass(group) for group in groups]
            for group, weight in zip(groups, weights, strict=True):
                self._add_word(group, weight / (sum(weights) or 1.0), one, cover)
            np.maximum(best_score, one, out=best_score)
            np.maximum(best_cover, cover, out=best_cover)
        score += best_score
        coverage += best_cover * np.float32(whole / total)

    def _rarity(self, products: int) -> float:
        """Return the inverse document frequency of what so many products have."""
        return float(np.log1p((self.n - products + 0.5) / (products + 0.5))) if products else self._rarest

    def _add_measure(
        self,
        measure: Measured,
        own: Mapping[int, list[Term]],
        mass: Mapping[int, float],
        total: float,
        score: NDArray[np.float32],
        coverage: NDArray[np.float32],
    ) -> None:
        """Add a measure where a product has it or says it in the same words; half of it (``7ft`` for ``5ft``) is none."""
        whole = sum(mass[i] for i in own)
        one, cover = np.zeros(self.n, np.float32), np.zeros(self.n, np.float32)
        for group in own.values():
            self._add_word(group, 1 / len(own), one, cover)
        half = cover < _WHOLLY
        one[half], cover[half] = 0, 0
        one[measure.has] = np.maximum(one[measure.has], np.float32(whole / (1 + K1)))
        cover[measure.has] = 1
        score += one
        coverage += cover * np.float32(whole / total)

    def affirming(self, found: Sequence[Word]) -> NDArray[np.bool_]:
        """Return the mask ``(n,)`` of products that affirm every word."""
        mask = np.ones(self.n, bool)
        for word in found:
            one = np.zeros(self.n, bool)
            for part, term in itertools.product(self._parts, terms([word])):
                if term.cover == 1.0 and (span := part.span(term.text)):
                    one[part.at[span][part.affirmed[span]] + part.rows.start] = True
            mask &= one
        return mask if found else np.zeros(self.n, bool)

    def _mass(self, group: Sequence[Term]) -> float:
        known = [
            float(part.idf[place])
            for part in self._parts
            for place in (part.place(t.text) for t in group if t.cover == 1.0)
            if place >= 0
        ]
        return max(known, default=self._rarest)

    def _add_word(
        self, group: Sequence[Term], share: float, score: NDArray[np.float32], coverage: NDArray[np.float32]
    ) -> None:
        """Add one word to what every row has."""
        for part in self._parts:
            part.add_word(group, share, score[part.rows], coverage[part.rows])
