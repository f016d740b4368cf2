"""The one question that splits what is left best, with answers to click.

In: facets of the match set, prices of its first products, what is settled and asked. Out: a
:class:`~engine.guide.state.Question`, or none. Best is what tells most about which product is wanted: the entropy of the
answers, less for products that have none. Knows nothing of words.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from engine.explain.facts import PEOPLE, label, shown_money
from engine.guide.phrases import QUESTIONS, band
from engine.guide.state import Choice, Question
from engine.schema import Facet, Money

__all__ = ["choose_question"]

_MOST_CHOICES = 8
_LEAST_SPLIT = 0.8
_NEVER = frozenset({"availability", "condition", "category", "currency"})
_HARD = frozenset({"price", "color", "size", "brand", "gender"})
_LIKED = 0.15
_ANYONE = ("anyone", "男女通用")
_LONGEST_FILTER = 400


def choose_question(
    facets: Sequence[Facet], prices: Sequence[Money], found: int, closed: Collection[str], language: str
) -> Question | None:
    """Return what to ask about ``found`` products; ``closed`` are the fields that are settled or were asked about."""
    best: Question | None = None
    most = _LEAST_SPLIT
    for facet in facets:
        if facet.field in closed or facet.field in _NEVER or facet.stats:
            continue
        short = [c for c in facet.counts if len(c.filter) <= _LONGEST_FILTER][:_MOST_CHOICES]
        counts = [c.count for c in short]
        worth = _worth(counts, facet.other + sum(c.count for c in facet.counts) - sum(counts), found)
        worth += _LIKED * (facet.field in _HARD)
        if len(counts) > 1 and worth > most:
            most = worth
            choices = [
                Choice(label=_shown(facet.field, c.value, language), field=facet.field, filter=c.filter, count=c.count)
                for c in short
            ]
            best = Question(field=facet.field, text=_text(facet.field, language), choices=choices)
    if "price" not in closed:
        bands = list(_bands(prices, language))
        worth = _worth([c.count for c in bands], len(prices) - sum(c.count for c in bands), len(prices)) + _LIKED
        if len(bands) > 1 and worth > most:
            best = Question(field="price", text=_text("price", language), choices=bands)
    return best


def _worth(counts: Sequence[int], other: int, found: int) -> float:
    """Return the bits an answer tells, times the share of products that have one."""
    total = sum(counts) + other
    if not total or not found:
        return 0.0
    parts = [n / total for n in (*counts, other) if n]
    return -sum(p * math.log2(p) for p in parts) * min(1.0, total / found)


def _text(field: str, language: str) -> str:
    known = QUESTIONS.get(field)
    if known:
        return known[language == "zh"]
    name = label(field, language)
    return f"对{name}有要求吗？" if language == "zh" else f"Which {name} would you like?"


def _shown(field: str, value: str, language: str) -> str:
    people = _ANYONE if value.lower() == "unisex" else PEOPLE.get(value.lower())
    people = people if field == "gender" else None
    return people[language == "zh"] if people else value[:120]


def _bands(prices: Sequence[Money], language: str) -> Iterator[Choice]:
    """Yield three bands of price that hold about as many products each, of the commonest currency, with round edges."""
    if not prices:
        return
    currency = Counter(p.currency for p in prices).most_common(1)[0][0]
    majors = sorted(p.major for p in prices if p.currency == currency)
    edges = sorted({_round(majors[len(majors) * k // 3]) for k in (1, 2)} - {0.0})
    edges = [e for e in edges if majors[0] <= e < majors[-1]]
    if len(majors) < 3 or not edges:
        return
    decimals = Money.decimals(currency)
    shown = [shown_money(Money(round(e * 10**decimals), currency)) for e in edges]
    for i in range(len(edges) + 1):
        low, high = (edges[i - 1] if i else None), (edges[i] if i < len(edges) else None)
        inside = sum((low is None or m > low) and (high is None or m <= high) for m in majors)
        parts = [f"price:>{low:.{decimals}f}{currency}"] if low is not None else []
        parts += [f"price:<={high:.{decimals}f}{currency}"] if high is not None else []
        text = band(shown[i - 1] if i else "", shown[i] if i < len(edges) else "", language)
        if inside:
            yield Choice(label=text, field="price", filter=" && ".join(parts), count=inside)


def _round(value: float) -> float:
    """Return a price near ``value`` with one or two digits."""
    if value <= 0:
        return 0.0
    step: float = 10 ** math.floor(math.log10(value)) / 2
    return round(round(value / step) * step, 6)
