"""Training examples from what a shop has: judgements, search logs, orders, or its catalogue alone.

In: judged queries, a :class:`~indexer.logs.SearchLog`, :class:`~indexer.transactions.Sales`, products. Out: an
:class:`~engine.train.examples.ExampleSet`, with what was left out by reason on its card. Nothing personal gets in: a query
that may hold an address, a number of a person or a link is left out, and nobody's name or key is kept. Knows nothing of
models.

Judged and catalogue queries are split by their words. A log is split by time: the test is of its last fifth, without the
queries that were asked before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.language import folded_line
from engine.lexicon import Lexicon
from engine.schema import Product
from engine.text import embedding_text
from engine.train.catalogue import catalogue_examples
from engine.train.examples import Example, ExampleSet, query_key, split
from evals.clicks import ACTS, click_judgements
from evals.evalsets import EvalSet, Qrels
from indexer.logs import SearchLog
from indexer.people import shoppers
from indexer.popular import personal
from indexer.transactions import Sales

__all__ = ["Gathering", "click_examples", "judged_examples", "sale_examples", "user_examples"]

_LATE = 0.8


@dataclass(slots=True)
class Gathering:
    """Examples put together source by source; :meth:`finish` says what came of it."""

    products: Mapping[str, Product]
    folds: int = 5
    seed: int = 0
    train: list[Example] = field(default_factory=list)
    test: list[Example] = field(default_factory=list)
    left_out: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    extra_texts: dict[str, str] = field(default_factory=dict)
    whole_catalogue: bool = False

    def add_judged(self, evalset: EvalSet, view: str = "") -> None:
        """Add a set's judgements, split by query."""
        chosen = evalset.view(view)
        kinds = {qid: of[0] for qid, of in evalset.kinds.items() if of}
        found = judged_examples(evalset.queries, chosen.qrels, self.products, self.left_out["judgements"], kinds=kinds)
        self._add(*split(found, self.folds))

    def add_log(self, log: SearchLog, debiased: bool = True) -> None:
        """Add what shoppers of a log clicked, split by time, or by query where the log knows no times."""
        human, machines = shoppers(log)
        self.left_out["log"].update(machines)
        self.left_out["log"].update(log.skipped)
        renamed = _by_our_ids(human, self.products)
        times = sorted(query.time_s for query in renamed.queries if query.time_s)
        if not times:
            self._add(*split(click_examples(renamed, self.products, self.left_out["log"], debiased), self.folds))
            return
        border = times[int(_LATE * len(times))]
        early, late = _halves(renamed, border)
        train = list(click_examples(early, self.products, self.left_out["log"], debiased))
        test = list(click_examples(late, self.products, self.left_out["log"], debiased)) if late.queries and late.actions else []
        self._add(train, test)

    def add_users(self, log: SearchLog) -> None:
        """Add what each user of a log chose, with a hash of who it was, for training with differential privacy: nothing is put
        together over users, and the texts of the whole catalogue come along, because which of it was chosen is private."""
        human, machines = shoppers(log)
        self.left_out["log"].update(machines)
        self.left_out["log"].update(log.skipped)
        renamed = _by_our_ids(human, self.products)
        self.train += user_examples(renamed, self.products, self.left_out["log"])
        self.whole_catalogue = True

    def add_sales(self, sales: Sales) -> None:
        """Add the other descriptions under which a product was sold, split by their words."""
        self.left_out["orders"].update(sales.skipped)
        usual, found = sale_examples(sales, self.products, self.left_out["orders"])
        self.extra_texts |= {i: text for i, text in usual.items() if i not in self.products}
        self._add(*split(found, self.folds))

    def add_catalogue(self, lexicon: Lexicon, each: int) -> None:
        """Add queries made from the catalogue, ``each`` for a product."""
        found = [e for e in catalogue_examples(self.products.values(), lexicon, each, self.seed) if not personal_but_codes(e)]
        self._add(*split(found, 20))

    def finish(self, glossing: Lexicon | None, source: Mapping[str, Any]) -> ExampleSet:
        """Return the set: the test rid of queries that are also trained on, texts of the products in it, and the card."""
        known = {query_key(e.query) for e in self.train}
        test = [e for e in self.test if query_key(e.query) not in known]
        self.left_out["test"]["query that is also trained on"] += len(self.test) - len(test)
        ids = dict.fromkeys(self.products if self.whole_catalogue else (e.product for e in (*self.train, *test)))
        texts = {i: embedding_text(self.products[i], glossing) if i in self.products else self.extra_texts[i] for i in ids}
        card = {
            "made_from": dict(source),
            "seed": self.seed,
            "left_out": {part: dict(sorted((+counted).items())) for part, counted in sorted(self.left_out.items()) if +counted},
        }
        return ExampleSet(texts, self.train, test, card)

    def _add(self, train: Iterable[Example], test: Iterable[Example]) -> None:
        self.train += train
        self.test += test


def personal_but_codes(example: Example) -> bool:
    """Return whether a query may hold something personal; model numbers are long numbers and nobody's."""
    return "code" not in example.kind and personal(example.query)


def judged_examples(
    queries: Mapping[str, str],
    qrels: Qrels,
    known: Container[str],
    left_out: Counter[str],
    source: str = "judgements",
    kinds: Mapping[str, str] | None = None,
) -> Iterator[Example]:
    """Yield an example for each judgement of a ``known`` product; ratings are scaled so that the highest one is 1."""
    highest = max((rating for rated in qrels.values() for rating in rated.values()), default=0)
    for qid, text in queries.items():
        for product, rating in qrels.get(qid, {}).items():
            if product not in known:
                left_out["judgement of a product that is not in the catalogue"] += 1
            elif personal(text):
                left_out["query that may hold something personal"] += 1
            else:
                grade = round(max(0, rating) / max(1, highest), 4)
                yield Example(text, product, grade, source, (kinds or {}).get(qid, ""))


def click_examples(log: SearchLog, known: Container[str], left_out: Counter[str], debiased: bool = True) -> Iterator[Example]:
    """Yield examples graded by clicks over expected clicks, or, not ``debiased``, by clicks as they are."""
    found = click_judgements(log, debiased=debiased)
    left_out.update(found.skipped)
    yield from judged_examples(found.queries, found.qrels, known, left_out, "clicks", found.kinds)


def user_examples(log: SearchLog, known: Container[str], left_out: Counter[str]) -> Iterator[Example]:
    """Yield an example for each product a user chose after a query, once for each user."""
    texts = {query.query_id: query.text for query in log.queries}
    seen: set[tuple[str, str, str]] = set()
    for action in log.actions:
        text = texts.get(action.query_id, "")
        key = (action.user, folded_line(text), action.product)
        if action.kind not in ACTS or not text or key in seen:
            continue
        seen.add(key)
        if not action.user:
            left_out["choice of nobody in particular"] += 1
        elif action.product not in known:
            left_out["choice of a product that is not in the catalogue"] += 1
        elif personal(text):
            left_out["query that may hold something personal"] += 1
        else:
            yield Example(folded_line(text), action.product, 1.0, "choices", "", action.user)


def sale_examples(
    sales: Sales, known: Container[str], left_out: Counter[str]
) -> tuple[dict[str, str], list[Example]]:
    """Return the usual description of each product sold, and an example for each other one of a product."""
    said: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sale in sales.lines:
        if sale.description:
            said[sale.product][sale.description] += 1
    usual: dict[str, str] = {}
    found: list[Example] = []
    for product, counted in said.items():
        first, *others = sorted(counted, key=lambda d: (-counted[d], d))
        usual[product] = first
        if product in known:
            others = [first, *others]
        for other in others:
            if personal(other):
                left_out["description that may hold something personal"] += 1
            elif folded_line(other) != folded_line(first) or product in known:
                found.append(Example(folded_line(other), product, 1.0, "orders", "description"))
    return usual, found


def _by_our_ids(log: SearchLog, products: Mapping[str, Product]) -> SearchLog:
    """Return the log with products called by our ids where it calls them by a GTIN or a model number."""
    ours = {code: p.id for p in products.values() for code in (*p.gtin, p.mpn) if code}
    queries = [replace(q, shown=tuple(i if i in products else ours.get(i, i) for i in q.shown)) for q in log.queries]
    actions = [a if a.product in products else replace(a, product=ours.get(a.product, a.product)) for a in log.actions]
    return SearchLog(queries, actions, log.skipped)


def _halves(log: SearchLog, border: float) -> tuple[SearchLog, SearchLog]:
    """Return the searches before a time and from it on, each with what was done after them."""
    out = []
    for late in (False, True):
        queries = [q for q in log.queries if (q.time_s >= border) is late]
        ids = {q.query_id for q in queries}
        out.append(SearchLog(queries, [a for a in log.actions if a.query_id in ids]))
    return out[0], out[1]
