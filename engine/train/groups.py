"""Queries with an answer and with what looks like one and is not: what one step of training compares.

In: examples and the vectors a known model gives queries and products. Out: :class:`Group`, and which products of a step are
no fair negatives for which of its queries. A mined negative is near the query and yet unlikely to answer it: less near than
95 % of the answer (de Souza et al., *NV-Retriever: Improving text embedding models with effective hard-negative mining*,
2024), not holding every word of the query, and not rated as an answer. Knows nothing of training.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.language import stem_of, words
from engine.train.examples import CATALOGUE, Example, query_key

__all__ = ["Group", "Known", "make_groups", "make_lists", "unfair"]

_ANSWERS = 0.5
_NEAREST = 50
_MARGIN = 0.95
_CHUNK = 512

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Group:
    """A query, a product that answers it with ``grade``, and others that answer it less, each with its own grade.

    ``teacher`` holds a teacher's score of each of :attr:`rated`, where there is one.
    """

    query: str
    positive: str
    grade: float
    negatives: tuple[tuple[str, float], ...] = ()
    teacher: tuple[float, ...] = ()

    @property
    def rated(self) -> tuple[tuple[str, float], ...]:
        """The answer and the others, each with its grade."""
        return ((self.positive, self.grade), *self.negatives)


class Known:
    """What is known of queries and products before training: words, ratings, and the vectors of a guide.

    ``queries`` and ``products`` map texts and ids to unit vectors float32 ``(d,)``.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        texts: Mapping[str, str],
        queries: Mapping[str, Vectors],
        products: Mapping[str, Vectors],
    ) -> None:
        self.queries, self.products = queries, products
        self.answers: defaultdict[str, dict[str, float]] = defaultdict(dict)
        for example in examples:
            rated = self.answers[query_key(example.query)]
            rated[example.product] = max(example.grade, rated.get(example.product, 0.0))
        self._words = {i: frozenset(stem_of(w) for w in words(text)) for i, text in texts.items()}
        self._holding = Counter(word for said in self._words.values() for word in said)
        asked = {query_key(e.query) for e in examples if e.source != CATALOGUE}
        self._made = {query_key(e.query) for e in examples if e.source == CATALOGUE} - asked

    def says_all(self, query: str, product: str) -> bool:
        """Return whether a product's text holds every word of a query."""
        return self._words[product].issuperset(query_key(query).split())

    def made(self, query: str) -> bool:
        """Return whether a query was made of a product's own words, and nobody asked it."""
        return query_key(query) in self._made

    def by_words(self, query: str, products: Sequence[str]) -> list[float]:
        """Return how well words find each product for a :meth:`made` query, 0 to 1: the share of the query that its text says,
        rare words counting for more. 0 for what people asked."""
        if not self.made(query):
            return [0.0] * len(products)
        asked = query_key(query).split()
        rare = {w: math.log1p((len(self._words) - self._holding[w] + 0.5) / (self._holding[w] + 0.5)) for w in asked}
        whole = sum(rare.values()) or 1.0
        return [sum(rare[w] for w in rare if w in self._words[product]) / whole for product in products]

    def near(self, query: str, product: str) -> float:
        """Return the guide's cosine."""
        return float(self.queries[query] @ self.products[product])


def make_groups(examples: Sequence[Example], known: Known, negatives: int, seed: int, judged: bool = False) -> list[Group]:
    """Return a group for each example that answers its query, with up to ``negatives`` rated or mined ones.

    An answer has at least half of the highest grade, or the best one its query has: what answers a little is no example of an
    answer, and is compared by its grade alone. No negative is mined for a query that was made of a product's own words, as
    what looks like that product may answer it too; unless, ``judged``, a teacher will say whether it does.
    """
    chance = random.Random(seed)
    best: dict[str, float] = {}
    for e in examples:
        best[e.query] = max(e.grade, best.get(e.query, 0.0))
    positives = [e for e in examples if e.grade > 0 and e.grade >= min(_ANSWERS, best[e.query])]
    if not negatives:
        return [Group(e.query, e.product, e.grade) for e in positives]
    mined = _mined(list(dict.fromkeys(e.query for e in positives if judged or not known.made(e.query))), known)
    return [_group(e, known, mined.get(e.query, []), negatives, chance) for e in positives]


def make_lists(examples: Sequence[Example], known: Known, most: int, mined: int, seed: int) -> list[Group]:
    """Return one group for each query that has an answer: its best product, up to ``most`` rated ones with it, and ``mined``
    ones that look like answers, which a query made of a product's own words needs as well: a list of one has no order."""
    chance = random.Random(seed)
    best: dict[str, Example] = {}
    for e in examples:
        if e.grade > 0 and (e.query not in best or e.grade > best[e.query].grade):
            best[e.query] = e
    near = _mined(list(best), known) if mined else {query: [] for query in best}
    lists = []
    for query, answer in best.items():
        others = sorted((p, g) for p, g in known.answers[query_key(query)].items() if p != answer.product and p in known.products)
        chosen = chance.sample(others, min(most - 1, len(others)))
        chosen += _fair(answer, known, near[query], mined, chance)
        lists.append(Group(query, answer.product, answer.grade, tuple(chosen)))
    return lists


def _fair(answer: Example, known: Known, near: Sequence[str], most: int, chance: random.Random) -> list[tuple[str, float]]:
    """Return up to ``most`` of the products near a query that are less near than its answer by a margin."""
    limit = _MARGIN * known.near(answer.query, answer.product)
    fair = [p for p in near if known.near(answer.query, p) < limit]
    return [(p, 0.0) for p in chance.sample(fair, min(most, len(fair)))]


def _group(example: Example, known: Known, near: Sequence[str], most: int, chance: random.Random) -> Group:
    rated = known.answers[query_key(example.query)]
    lower = [(p, g) for p, g in rated.items() if g < example.grade and p in known.products]
    chosen = chance.sample(lower, min(most, len(lower)))
    if len(chosen) < most:
        chosen += _fair(example, known, near, most - len(chosen), chance)
    return Group(example.query, example.product, example.grade, tuple(chosen))


def _mined(queries: Sequence[str], known: Known) -> dict[str, list[str]]:
    """Return, for each query, products near it that do not hold all its words and that nobody rated."""
    ids = list(known.products)
    table = np.stack([known.products[i] for i in ids])
    out: dict[str, list[str]] = {}
    for start in range(0, len(queries), _CHUNK):
        part = queries[start : start + _CHUNK]
        scores = np.stack([known.queries[q] for q in part]) @ table.T
        most = min(_NEAREST, len(ids))
        best = np.argpartition(-scores, most - 1, axis=1)[:, :most]
        for query, places in zip(part, best, strict=True):
            rated = known.answers[query_key(query)]
            near = (ids[i] for i in sorted(places))
            out[query] = [p for p in near if p not in rated and not known.says_all(query, p)]
    return out


def unfair(queries: Sequence[str], positives: Sequence[str], candidates: Sequence[str], known: Known) -> NDArray[np.bool_]:
    """Return bool ``(queries, candidates)``: where a candidate may answer the query as well as its positive does.

    It does where it is the positive of the same need, is rated, holds every word of the query, or is as near to it by the
    guide (Solatorio, *GISTEmbed*, 2024).
    """
    near = np.stack([known.queries[q] for q in queries]) @ np.stack([known.products[c] for c in candidates]).T
    own = np.array([known.near(q, p) for q, p in zip(queries, positives, strict=True)])
    mask: NDArray[np.bool_] = near >= own[:, None]
    for i, query in enumerate(queries):
        rated = known.answers[query_key(query)]
        for j, candidate in enumerate(candidates):
            if candidate in rated:  # what people said counts for more than what a guide thinks
                mask[i, j] = rated[candidate] > 0
            elif known.says_all(query, candidate):
                mask[i, j] = True
    return mask
