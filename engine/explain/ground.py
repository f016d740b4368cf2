"""The ground check: is one sentence about one product true by the product's own record?

In: a sentence, its product, the need it answers and the other products shown. Out: a :class:`Verdict`, with the
fields the sentence rests on, or with the reason it is refused. Deterministic, without a model, and strict: what
cannot be shown to be true is refused. Knows nothing of where a sentence comes from.

Reasons: ``length`` ``characters`` ``markup`` ``question`` ``order`` ``language`` (form) · ``number`` ``price``
``currency`` ``limit`` · ``brand`` ``stock`` ``discount`` ``comparison`` ``superlative`` · ``word`` ``contradiction``
``pair`` ``colour`` ``material`` ``doubtful`` ``empty``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.explain.check_form import form_problem
from engine.explain.check_numbers import Refused, Supported, check_money, check_number, is_money
from engine.explain.check_ranks import BUDGET, check_brands, check_offers, check_ranks, offer_spans
from engine.explain.check_words import Words
from engine.explain.evidence import Need, price_limits
from engine.explain.facts import Fact, product_facts
from engine.explain.reading import Clause, read_clauses
from engine.explain.vocabulary import EN_NEUTRAL, ZH_NEUTRAL, stem
from engine.numerals import fold
from engine.schema import Citation, Product, Quantity
from engine.units import parse_quantity

__all__ = ["PLAIN", "Verdict", "check", "own_text", "unstated"]

PLAIN = {
    "en": "It came up for your search; the record says no more.",
    "zh": "搜索结果中有这款商品，资料中没有更多说明。",
}
"""A sentence that is true of every product found: what is said when nothing else can be."""

_UNSTATED = {
    "en": re.compile(
        r"The (?:description|listing) does not (?:say|mention|state)(?: whether it is| if it is)? "
        r'"?(.+?)"?\.?'
    ),
    "zh": re.compile(
        r"(?:商品)?(?:描述|资料|说明)(?:中|里)?(?:没有|未)(?:说明|写明|提到|提及)(?:是否)?"
        r"[“「]?(.+?)[”」]?。?"
    ),
}
_WORD = re.compile(r"[A-Za-zÀ-ɏ]+")
_HAN = re.compile(r"[\u4e00-\u9fff]+")
_NEUTRAL = frozenset(stem(w) for w in EN_NEUTRAL)
_ZH_NEUTRAL = re.compile("|".join(map(re.escape, ZH_NEUTRAL)))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a sentence: its citations when it holds, a one-word ``reason`` when it does not."""

    ok: bool
    citations: tuple[Citation, ...] = ()
    reason: str = ""


def own_text(product: Product) -> str:
    """Return all text of a product, folded: what it may spell in its own way."""
    values = [str(v) for vs in product.attributes.values() for v in vs if not isinstance(v, bool | Quantity)]
    names = [n.replace("_", " ") for n in product.attributes]
    parts = [product.title, product.brand, product.mpn, *product.category, product.description, *values, *names]
    return fold("\n".join(parts))


def unstated(wish: str, product: Product, language: str) -> bool:
    """Return whether it is sure that the record says nothing of a wish: the same language, and no word in common.

    Not a stem, not four letters in front and not one Chinese character may be shared.
    """
    own = own_text(product)
    han = sum(len(run) for run in _HAN.findall(own))
    mostly_han = 3 * han > len(own) - han
    if re.search(r"\d", fold(wish)) or parse_quantity(f"1{wish}") or mostly_han != (language == "zh"):
        return False
    if language == "zh":
        chars = {c for run in _HAN.findall(wish) for c in run}
        return bool(chars) and not _WORD.search(wish) and not any(c in own for c in chars)
    stems = [s for w in _WORD.findall(wish) if (s := stem(w)) not in _NEUTRAL]
    heads = {w.lower()[:4] for w in _WORD.findall(own)}
    inside = own.lower()
    return bool(stems) and not _HAN.search(wish) and not any(s[:4] in heads or s in inside for s in stems)


def _denies_nothing(clause: Clause) -> bool:
    """Return whether a clause is negated and what follows the negation says nothing by itself: ``$39 is not what it costs``
    denies what stands before."""
    at = clause.negative_from
    if at >= len(clause.text):
        return False
    words = any(w.start >= at and w.key not in _NEUTRAL for w in clause.words)
    runs = any(r.start >= at and _ZH_NEUTRAL.sub("", r.text) for r in clause.runs)
    return not (words or runs or any(n.start >= at for n in clause.numbers) or any(c.start >= at for c in clause.codes))


def _check_unstated(wish: str, product: Product, need: Need) -> Verdict:
    asked = fold(need.text).lower()
    known = {stem(w) for w in _WORD.findall(asked)}
    words = [stem(w) for w in _WORD.findall(wish) if stem(w) not in _NEUTRAL]
    wanted = all(w in known for w in words) if need.language != "zh" else wish in asked
    if not wanted or not unstated(wish, product, need.language):
        return Verdict(False, (), "word")
    field, value = ("description", product.description) if product.description else ("title", product.title)
    return Verdict(True, (Citation(field=field, value=value[:300]),))


def _check(text: str, product: Product, need: Need, others: Sequence[Product], facts: list[Fact]) -> Verdict:
    out, limits = Supported(), price_limits(need)
    folded = fold(text)
    check_brands(folded, product, others)
    check_offers(folded, product, limits, out)
    clauses = read_clauses(check_ranks(folded, product, others, out))
    words = Words(facts)
    for index, clause in enumerate(clauses):
        if clause.doubtful or _denies_nothing(clause):
            raise Refused("doubtful")
        if clause.negative_from < len(clause.text) and BUDGET.search(clause.text):
            raise Refused("limit")
        out.spans.setdefault(index, []).extend(offer_spans(clause.text))
        for number in clause.numbers:
            if is_money(number, clause):
                check_money(number, clause, product, limits, out)
            else:
                check_number(index, number, clause, facts, out)
        words.check(index, clause, need.language, out)
    if not out.citations:
        raise Refused("empty")
    return Verdict(True, tuple(out.citations.values()))


def check(text: str, product: Product, need: Need, others: Sequence[Product]) -> Verdict:
    """Return whether a sentence about ``product`` holds, and the fields it rests on.

    ``others`` are the products shown beside it; the product itself may be among them.
    """
    if text == PLAIN[need.language]:
        return Verdict(True, (Citation(field="title", value=product.title),))
    match = _UNSTATED[need.language].fullmatch(text)
    if problem := form_problem(match[1] if match else text, own_text(product), need.language):
        return Verdict(False, (), problem)
    if match:
        return _check_unstated(match[1], product, need)
    beside = [p for p in others if p.id != product.id]
    try:
        return _check(text, product, need, beside, product_facts(product, need.language))
    except Refused as refusal:
        return Verdict(False, (), refusal.reason)
