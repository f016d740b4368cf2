"""Which fields of a product answer which part of a need.

In: a :class:`Need` and a :class:`~engine.schema.Product`. Out: :class:`Evidence`, the fields best first, each with
the part of the need it answers; fields that answer nothing asked follow with an empty part. Price limits come out of
the need's filters as :class:`Limit`. Knows nothing of generators; judges no sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from engine.explain.facts import Fact, product_facts, shown_money
from engine.explain.reading import Clause, read_clauses
from engine.schema import AttributeValue, Money, Product, Understood

__all__ = ["Evidence", "EvidenceField", "Limit", "Need", "gather_evidence", "price_limits"]

_AMOUNT = r"(\d+(?:\.\d+)?)([A-Z]{3})?"
_COMPARISON = re.compile(rf"price\s*:\s*(<=|>=|<|>|:=|=)?\s*\[?\s*{_AMOUNT}(?:\s*\.\.\s*{_AMOUNT})?")
_CURRENCY = re.compile(r"currency\s*:=?\s*\[?([A-Z]{3})")


@dataclass(frozen=True, slots=True)
class Need:
    """What the shopper asked, as understood. ``language`` (``en`` or ``zh``) is that of the answer."""

    text: str
    language: str
    terms: tuple[str, ...] = ()
    understood: tuple[Understood, ...] = ()


@dataclass(frozen=True, slots=True)
class Limit:
    """One price limit of a need, in major units; ``currency`` is empty where none was named."""

    op: str
    value: float
    currency: str
    text: str

    @property
    def shown(self) -> str:
        """The limit as a shop writes it; a number alone where the shopper named no currency."""
        if not self.currency:
            return f"{self.value:g}" if self.value < 1e6 else f"{self.value:.0f}"
        return shown_money(Money(round(self.value * 10 ** Money.decimals(self.currency)), self.currency))

    def met_by(self, price: Money | None) -> bool:
        """Return whether a price is known to keep this limit; another currency is never known to."""
        if price is None or (self.currency and price.currency != self.currency):
            return False
        major = price.major
        return {"<=": major <= self.value, "<": major < self.value, ">=": major >= self.value}.get(
            self.op, major > self.value
        )


@dataclass(frozen=True, slots=True)
class EvidenceField:
    """One field: its value as shown, the part of the need it answers (empty for none), and the typed value."""

    field: str
    value_shown: str
    part_of_need: str
    value: AttributeValue | Money | str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A product and what of it answers the need, best first."""

    product: Product
    fields: tuple[EvidenceField, ...]


def price_limits(need: Need) -> tuple[Limit, ...]:
    """Return the price limits of a need; one filter may hold a lower and an upper one."""
    limits: list[Limit] = []
    for item in need.understood:
        if item.kind != "price":
            continue
        named = found[1] if (found := _CURRENCY.search(item.filter)) else ""
        for op, low, low_unit, high, high_unit in _COMPARISON.findall(item.filter):
            currency = low_unit or high_unit or named
            if high:
                limits.append(Limit(">=", float(low), currency, item.text))
                limits.append(Limit("<=", float(high), currency, item.text))
            elif op in ("<=", "<", ">=", ">"):
                limits.append(Limit(op, float(low), currency, item.text))
    return tuple(limits)


def _answers(term: Clause, clauses: Iterable[Clause]) -> bool:
    """Return whether the clauses state, not negated, what the term names."""
    for clause in clauses:
        keys = {k for w in clause.words if not w.negative for k in (w.key, *w.parts)}
        codes = {c.key for c in clause.codes if not c.negative}
        values = {(n.values, n.unit) for n in clause.numbers}
        if (
            all(w.key in keys for w in term.words)
            and all(c.key in codes for c in term.codes)
            and all((n.values, n.unit) in values for n in term.numbers)
            and all(any(r.text in f.text for f in clause.runs if not f.negative) for r in term.runs)
        ):
            return True
    return False


def _part(need_terms: list[tuple[str, tuple[Clause, ...]]], fact: Fact) -> str:
    found = [t for t, clauses in need_terms if clauses and all(_answers(c, fact.clauses) for c in clauses)]
    return " ".join(found)


def _typed(product: Product, fact: Fact, shown: dict[tuple[str, str], AttributeValue]) -> AttributeValue | str:
    return shown.get((fact.field, fact.shown), fact.shown)


def _price_field(need: Need, product: Product) -> EvidenceField | None:
    price = product.current_price
    if price is None:
        return None
    met = [limit.text for limit in price_limits(need) if limit.met_by(price)]
    name = "sale_price" if product.sale_price else "price"
    return EvidenceField(name, shown_money(price), met[0] if met else "", price)


def gather_evidence(need: Need, product: Product) -> Evidence:
    """Return the fields of a product that answer the need, those that answer most of it first."""
    terms = [(t, read_clauses(t)) for t in dict.fromkeys(need.terms)]
    typed = {
        (name, fact.shown): value
        for name, values in product.attributes.items()
        for value in values
        for fact in product_facts(Product(id="", title="", attributes={name: (value,)}), need.language)
    }
    found: dict[tuple[str, str], EvidenceField] = {}
    for fact in product_facts(product, need.language):
        part = _part(terms, fact)
        key = (fact.field, fact.shown)
        if key not in found or len(part) > len(found[key].part_of_need):
            found[key] = EvidenceField(fact.field, fact.shown, part, _typed(product, fact, typed))
    fields = list(found.values())
    if price := _price_field(need, product):
        fields.append(price)
    order = {id(f): i for i, f in enumerate(fields)}
    fields.sort(key=lambda f: (-len(f.part_of_need.split()), -len(f.part_of_need), order[id(f)]))
    return Evidence(product, tuple(fields))
