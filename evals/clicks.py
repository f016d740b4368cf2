"""Judgements from what shoppers clicked, freed of the pull of the first places.

In: a :class:`~indexer.logs.SearchLog` with what each search showed. Out: :class:`~evals.adapters.Converted` queries and
ratings. Clicks over expected clicks (Zhang and Jones, *Comparing Click Logs and Editorial Labels for Training Query
Rewriting*, 2007): a product's clicks for a query, over the clicks that its places would have brought any product. 1 is as
good as the usual product shown there. Pairs that were shown too seldom to expect a click of are left out and counted, so a
rating of 0 means that shoppers passed by, not that they never saw it. Putting into the basket counts as two clicks, buying as
three.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from engine.errors import EvaluationError
from engine.language import folded_line
from evals.adapters import Converted
from indexer.logs import SearchLog

__all__ = ["ACTS", "LEAST_EXPECTED", "click_judgements"]

LEAST_EXPECTED = 1.0
"""Fewer expected clicks than this say nothing of a product that has none."""
_GRADES = ((1.5, 3), (0.75, 2), (0.25, 1))
_DEEPEST = 50
ACTS = {"click": 1, "cart": 2, "purchase": 3}
"""What an act is worth in clicks; of several of the same shopper with the same product, the most."""


def click_judgements(log: SearchLog, least_expected: float = LEAST_EXPECTED, debiased: bool = True) -> Converted:
    """Return queries with ratings 0 to 3: 3 from 1.5 times the clicks expected, 2 from 0.75, 1 from 0.25. The fifth of the
    queries asked most often is ``head``, the others are ``tail``.

    Not ``debiased``, every place is expected to bring as many clicks as any other: the first places win by being first.

    Raises:
        EvaluationError: no search says what it showed, or none of it was clicked.
    """
    found = Converted()
    clicked: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for action in log.actions:
        if worth := ACTS.get(action.kind, 0):
            acts = clicked[action.query_id]
            acts[action.product] = max(worth, acts.get(action.product, 0))
    shown = [query for query in log.queries if query.shown]
    found.skipped["search that does not say what it showed"] += len(log.queries) - len(shown)
    seen, clicks = Counter[int](), Counter[int]()
    for query in shown:
        for place, product in enumerate(query.shown[:_DEEPEST]):
            seen[place] += 1
            clicks[place] += clicked[query.query_id].get(product, 0)
    if not sum(clicks.values()):
        raise EvaluationError(
            "No product that a search showed was clicked. The log must name the products shown (query_response_object_ids) "
            "by the ids that its clicks use."
        )
    usual = sum(clicks.values()) / sum(seen.values())
    rate = {place: clicks[place] / seen[place] if debiased else usual for place in seen}
    got: Counter[tuple[str, str]] = Counter()
    expected: defaultdict[tuple[str, str], float] = defaultdict(float)
    texts: dict[str, str] = {}
    for query in shown:
        key = folded_line(query.text)
        texts.setdefault(key, query.text)
        for place, product in enumerate(query.shown[:_DEEPEST]):
            got[key, product] += clicked[query.query_id].get(product, 0)
            expected[key, product] += rate[place]
    ids = {key: f"q{number}" for number, key in enumerate(texts, 1)}
    found.queries = {ids[key]: text for key, text in texts.items()}
    asked = Counter(folded_line(query.text) for query in log.queries)
    busiest = sorted(asked.values(), reverse=True)[: max(1, len(asked) // 5)][-1]
    found.kinds = {ids[key]: "head" if asked[key] >= busiest else "tail" for key in texts}
    for (key, product), most in expected.items():
        if most < least_expected:
            found.skipped["product shown too seldom for a query"] += 1
        elif len(product.split()) != 1:
            found.skipped["product id with white space"] += 1
        else:
            ratio = got[key, product] / most
            found.judge(ids[key], product, next((grade for least, grade in _GRADES if ratio >= least), 0))
    return found
