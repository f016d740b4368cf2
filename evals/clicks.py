"""Judgements from what shoppers clicked, freed of the pull of the first places.

In: a :class:`~indexer.logs.SearchLog` with what each search showed. Out: :class:`~evals.adapters.Converted` queries and
ratings. Clicks over expected clicks (Zhang and Jones, *Comparing Click Logs and Editorial Labels for Training Query Rewriting*,
2007): a product's clicks for a query, over the clicks that its places would have brought the usual product. What places bring
and what products are worth is found out together, as in the position-based model (Craswell et al., *An Experimental Comparison
of Click Position-Bias Models*, WSDM 2008): once products have been shown in different places, the first place is not thought
better for having had better products. Pairs that were shown too seldom to expect a click of are left out and counted, so a
rating of 0 means that shoppers passed by, not that they never saw it. Putting into the basket counts as two clicks, buying as
three.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from engine.errors import EvaluationError
from engine.language import folded_line
from evals.adapters import Converted
from indexer.logs import SearchLog

__all__ = ["ACTS", "LEAST_EXPECTED", "click_judgements"]

LEAST_EXPECTED = 1.0
"""Fewer expected clicks than this say nothing of a product that has none."""
_GRADES = ((1.5, 3), (0.75, 2), (0.25, 1))
_DEEPEST = 50
_TURNS = 200
_SETTLED = 1e-4
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
    places: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    got: Counter[tuple[str, str]] = Counter()
    clicks: Counter[int] = Counter()
    texts: dict[str, str] = {}
    for query in shown:
        key = folded_line(query.text)
        texts.setdefault(key, query.text)
        for product, place in _first_places(query.shown[:_DEEPEST]).items():
            acted = clicked[query.query_id].get(product, 0)
            places[key, product][place] += 1
            got[key, product] += acted
            clicks[place] += acted
    if not clicks.total():
        raise EvaluationError(
            "No product that a search showed was clicked. The log must name the products shown (query_response_object_ids) "
            "by the ids that its clicks use."
        )
    if debiased:
        rate = _rates(places, got, clicks)
    else:
        usual = clicks.total() / sum(counted.total() for counted in places.values())
        rate = dict.fromkeys(clicks, usual)
    expected = {pair: sum(n * rate[place] for place, n in counted.items()) for pair, counted in places.items()}
    ids = {key: f"q{number}" for number, key in enumerate(texts, 1)}
    found.queries = {ids[key]: text for key, text in texts.items()}
    asked = Counter(folded_line(query.text) for query in log.queries)
    busiest = sorted(asked.values(), reverse=True)[: max(1, len(asked) // 5)][-1]
    found.kinds = {ids[key]: "head" if asked[key] >= busiest else "tail" for key in texts}
    for (key, product), most in expected.items():
        if not most or most < least_expected:
            found.skipped["product shown too seldom for a query"] += 1
        elif len(product.split()) != 1:
            found.skipped["product id with white space"] += 1
        else:
            ratio = got[key, product] / most
            found.judge(ids[key], product, next((grade for least, grade in _GRADES if ratio >= least), 0))
    return found


def _rates(
    places: Mapping[tuple[str, str], Counter[int]], got: Mapping[tuple[str, str], int], clicks: Mapping[int, int]
) -> dict[int, float]:
    """Return the clicks that each place brings a usual product in one search.

    The clicks of a pair are taken to be Poisson distributed. Their mean is the worth of the pair times the rates of the places it
    was shown in. Worth and rates are fitted in turns (iterative proportional fitting; Deming and Stephan, 1940), and each worth
    is drawn towards 1 as if it had got one click where one was expected. The first turn is clicks over expected clicks. Where
    no pair was shown in two places, that drawing alone tells worth from place: the pairs of each place are worth 1 on average.
    """
    pairs = list(places)
    of_pair = np.repeat(np.arange(len(pairs)), [len(places[pair]) for pair in pairs])
    at = np.array([place for pair in pairs for place in places[pair]], np.int64)
    shown = np.array([n for pair in pairs for n in places[pair].values()], np.float64)
    clicked = np.array([got[pair] for pair in pairs], np.float64)
    used, at = np.unique(at, return_inverse=True)
    size = len(used)
    by_place = np.array([clicks[place] for place in used.tolist()], np.float64)
    worth = np.ones(len(pairs))
    rate = np.zeros(size)
    for _ in range(_TURNS):
        before, rate = rate, by_place / np.bincount(at, shown * worth[of_pair], size)
        if np.allclose(before / (before.sum() or 1.0), rate / rate.sum(), rtol=_SETTLED, atol=0):
            break  # their common scale may go on drifting against that of worth, and is set below
        worth = (clicked + 1) / (np.bincount(of_pair, shown * rate[at], len(pairs)) + 1)
    rate *= by_place.sum() / np.sum(shown * rate[at])  # so that all expected clicks are as many as all clicks
    return dict(zip(used.tolist(), rate.tolist(), strict=True))


def _first_places(shown: Sequence[str]) -> dict[str, int]:
    """Return the first place of each product of a list, from 0."""
    return {product: place for place, product in reversed(list(enumerate(shown)))}
