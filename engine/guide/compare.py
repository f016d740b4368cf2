"""What differs between products, cell by cell from their records, and what each is better for.

In: products, a need, an explainer for one sentence about each. Out: a :class:`~engine.guide.state.Comparison`. A row is shown
where the products do not say the same; a row speaks for a product where less or more of it is better by itself (price, weight,
battery) or where it alone answers what was asked. Knows nothing of conversations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.explain.check_ranks import ranked
from engine.explain.evidence import Evidence, Need, gather_evidence
from engine.explain.facts import label, shown_money, shown_value
from engine.explain.slots import fill_slots
from engine.guide.state import Cell, Comparison, Row
from engine.schema import Claim, Product, Quantity

__all__ = ["Comparison", "compare_products"]

_MOST_ROWS = 12
_FIRST = (
    "price", "brand", "color", "size", "material", "weight", "capacity", "power", "battery_life", "screen_size", "storage",
    "waterproof",
)  # fmt: skip
_LABELS = {"price": ("price", "价格"), "brand": ("brand", "品牌")}
_MORE = frozenset({"battery_life", "battery_capacity", "storage"})
_ASKED = frozenset({"brand", "color", "size", "gender", "season", "pattern"})
"""Fields of which it is enough to have what was asked for."""
_NEVER = frozenset({"condition", "age_group"})
_LONGEST = 120


def compare_products(need: Need, products: Sequence[Product], snapshot: str) -> Comparison:
    """Return what differs between two or more products, in the language of the need."""
    evidence = [gather_evidence(need, product) for product in products]
    values = {p.id: _values(p, need.language) for p in products}
    names = dict.fromkeys(n for p in products for n in values[p.id] if n not in _NEVER)
    order = [*(n for n in _FIRST if n in names), *(n for n in names if n not in _FIRST)]
    rows = []
    for name in order:
        cells = [Cell(product_id=p.id, value=values[p.id].get(name, "")) for p in products]
        said = {cell.value for cell in cells}
        if len(said) > 1 and sum(bool(cell.value) for cell in cells) > 1:
            english, chinese = _LABELS.get(name, ("", ""))
            shown = (chinese if need.language == "zh" else english) or label(name, need.language)
            rows.append(Row(field=name, label=shown, cells=cells, best=_best(name, products, evidence)))
    rows.sort(key=lambda row: (not row.best, order.index(row.field)))
    return Comparison(rows=rows[:_MOST_ROWS], verdicts=list(_verdicts(need, evidence, rows, snapshot)))


def _values(product: Product, language: str) -> Mapping[str, str]:
    """Return what a record says of each field, as shown."""
    out = {}
    if price := product.current_price:
        out["price"] = shown_money(price)
    if product.brand:
        out["brand"] = product.brand
    for name, held in product.attributes.items():
        shown = ("、" if language == "zh" else ", ").join(shown_value(name, v, language) for v in held)
        if shown and len(shown) <= _LONGEST and not shown.startswith(("http:", "https:")):
            out[name] = shown
    return out


def _best(name: str, products: Sequence[Product], evidence: Sequence[Evidence]) -> str:
    """Return the product that a field speaks for."""
    answers = [e.product.id for e in evidence if any(f.field == name and f.part_of_need for f in e.fields)]
    if len(answers) == 1 and (name in _ASKED or any(v is True for p in products for v in p.attributes.get(name, ()))):
        return answers[0]
    what = {"price": "low", "weight": "light"}.get(name)
    for product in products if what else ():
        if ranked(what or "", product, [p for p in products if p.id != product.id]):
            return product.id
    if name in _MORE:
        amounts = {p.id: p.attributes.get(name, ("",))[0] for p in products}
        known = {i: a.value for i, a in amounts.items() if isinstance(a, Quantity)}
        one_unit = len({a.unit for a in amounts.values() if isinstance(a, Quantity)}) == 1
        if one_unit and len(known) == len(products) and len(set(known.values())) == len(known):
            return max(known, key=lambda i: known[i])
    return ""


def _verdicts(need: Need, evidence: Sequence[Evidence], rows: Sequence[Row], snapshot: str) -> list[Claim]:
    """Return, for each product, what speaks for it: values and citations from its slots."""
    products = [e.product for e in evidence]
    out = []
    for item in evidence:
        slots = fill_slots(need, item, products)
        for_it = [row.field for row in rows if row.best == item.product.id]
        used = [slots[n] for n in ("rank_price", "rank_weight") if n in slots]
        used += [slots[n] for n in for_it if n in slots and n not in ("price", "weight")]
        if not used:
            continue
        joined = ("，" if need.language == "zh" else ", ").join(slot.shown for slot in used[:4])
        text = f"它的优势：{joined}。" if need.language == "zh" else f"What speaks for it: {joined}."
        cited = list(dict.fromkeys(c for slot in used[:4] for c in slot.citations))
        out.append(Claim(product_id=item.product.id, text=text, citations=cited, generator="comparison", snapshot=snapshot))
    return out
