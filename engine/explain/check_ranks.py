"""Superlatives among the given products, other products' names, stock and discounts: what can be computed again.

In: a folded sentence, its product and the other products shown. Out: the sentence with what was verified blanked
out, and citations; or :class:`~engine.explain.check_numbers.Refused`. Knows nothing of words or numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.explain.check_numbers import Refused, Supported
from engine.explain.evidence import Limit
from engine.explain.facts import shown_money, shown_value
from engine.explain.vocabulary import NEGATIONS, RANKING, ZH_NOT_NEGATION
from engine.numerals import fold
from engine.schema import Citation, Product, Quantity

__all__ = ["BUDGET", "check_brands", "check_offers", "check_ranks", "offer_spans", "ranked"]

_SCOPE = r"(?:of|among|in) (?:these(?: \d+)?|the (?:\d+|list|results|group)(?: shown)?|this list|them)|here"
_EN_RANK = re.compile(
    rf"\b(?:the )?(?P<what>cheapest|lowest[- ]price\w*|least expensive|most expensive|lightest|heaviest)"
    rf"(?: (?:one|product|option))? (?:{_SCOPE})\b|\b(?P<rest>cheaper|lighter"
    rf"|heavier) than (?:all )?the (?:others|rest)\b",
    re.IGNORECASE,
)
_ZH_RANK = re.compile(
    r"(?:这|以上|上述)(?:几|\d+)?(?:款|件|个|些|双|种)(?:商品|产品)?(?:里|中|之中"
    r"|当中)?(?:价格)?(?P<what>最便宜|最低|最贵|最轻|最重)"
    r"|其中(?:价格)?(?P<rest>最便宜|最低|最贵|最轻|最重)"
)
_KEY = {
    "cheapest": "low", "least expensive": "low", "most expensive": "high", "lightest": "light", "heaviest": "heavy",
    "cheaper": "low", "lighter": "light", "heavier": "heavy", "最便宜": "low", "最低": "low", "最贵": "high",
    "最轻": "light", "最重": "heavy",
}  # fmt: skip
BUDGET = re.compile(r"\b(?:limit|budget|spending)\b|预算|上限|价位", re.IGNORECASE)
"""What speaks of the shopper's limit."""
_STOCK = re.compile(
    r"\b(?:in stock|available|availability|out of stock|sold out|pre-?order|back-?order|restock\w*)\b|有货|现货"
    r"|缺货|售罄|库存|预售",
    re.IGNORECASE,
)
_STOCK_OF = {"in_stock": "in stock available 有货 现货", "out_of_stock": "out of stock sold out 缺货 售罄",
             "preorder": "preorder pre-order 预售", "backorder": "backorder back-order"}  # fmt: skip
_RECOMMENDED = re.compile(r"\brecommended usage\b", re.IGNORECASE)
"""The one name of a field that sounds like praise."""
_DISCOUNT = re.compile(
    r"\b(?:discount\w*|on sale|save[sd]?|savings?|reduced|marked down|% off|off|deal|bargain|down from|was"
    r"|originally)\b"
    r"|% ?off\b|\d折|打折|折扣|优惠|降价|特价|促销|立减|省下|原价",
    re.IGNORECASE,
)
_FORMER = re.compile(
    r"\b(?:on sale|reduced|down from|was|originally)\b|降价|特价|优惠|原价|(?:之前|以前|先前|原来|原先)(?=[是为卖要]?[¥￥$\d])",
    re.IGNORECASE,
)
_MAKER = re.compile(r"\b(?:made by|by|from|brand(?: is|:)?) ([A-Z][\w'&.-]*)|(?:出自|来自|品牌(?:是|为))(\w{2,})")
_COMPATIBLE = re.compile(
    r"(?:\b(?:for|fits?|with|suits?|your)(?: the| a| your)?|适用于?|适配|用于|兼容|配)\s*$", re.IGNORECASE
)


def _weight(product: Product) -> float | None:
    values = [v for v in product.attributes.get("weight", ()) if isinstance(v, Quantity) and v.unit == "kg"]
    return values[0].value if len(values) == 1 else None


def _amounts(products: Sequence[Product], by_price: bool) -> list[float | None]:
    if not by_price:
        return [_weight(p) for p in products]
    prices = [p.current_price for p in products]
    single = len({m.currency for m in prices if m}) == 1
    return [m.major if m and single else None for m in prices]


def ranked(what: str, product: Product, others: Sequence[Product]) -> Citation | None:
    """Return the field that makes a product the ``low`` or ``high`` one by price, or the ``light`` or ``heavy`` one by weight,
    among others; ``None`` where it is not, or where that cannot be computed from all their records."""
    by_price = what in ("low", "high")
    mine, *rest = _amounts([product, *others], by_price)
    known = [r for r in rest if r is not None]
    if mine is None or not rest or len(known) < len(rest):
        return None
    if not (all(mine < r for r in known) if what in ("low", "light") else all(mine > r for r in known)):
        return None
    price = product.current_price
    if by_price and price is not None:
        return Citation(field="sale_price" if product.sale_price else "price", value=shown_money(price))
    return Citation(field="weight", value=shown_value("weight", product.attributes["weight"][0], "en"))


def check_ranks(text: str, product: Product, others: Sequence[Product], out: Supported) -> str:
    """Return the folded sentence without the superlatives that are true among the given products.

    Raises:
        Refused: one is false, or cannot be computed from the record.
    """
    for pattern in (_EN_RANK, _ZH_RANK):
        for match in pattern.finditer(text):
            word = (match["what"] or match["rest"]).lower().replace("-", " ")
            count = re.search(r"\d+", match.group())
            if NEGATIONS.search(text[: match.start()]) or (count and int(count.group()) != len(others) + 1):
                raise Refused("comparison")
            cited = ranked(_KEY.get(word, "low"), product, others)
            if cited is None:
                raise Refused("comparison")
            out.cite(cited.field, cited.value)
        text = pattern.sub(" ", text)
    if RANKING.search(_RECOMMENDED.sub(" ", text) if "recommended_usage" in product.attributes else text):
        raise Refused("superlative")
    return text


def offer_spans(text: str) -> list[tuple[int, int]]:
    """Return where a clause speaks of a former price, which :func:`check_offers` has borne out by then."""
    return [m.span() for m in _FORMER.finditer(text)]


def check_offers(text: str, product: Product, limits: Sequence[Limit], out: Supported) -> None:
    """Check words of budget, stock and discount: a typed field must bear each of them out."""
    if BUDGET.search(text):
        if not limits or not all(limit.met_by(product.current_price) for limit in limits):
            raise Refused("limit")
        if (price := product.current_price) is not None:
            out.cite("sale_price" if product.sale_price else "price", shown_money(price))
    for match in _STOCK.finditer(text):
        if match.group().lower() not in _STOCK_OF.get(product.availability, "") or _denied(text, match):
            raise Refused("stock")
    for match in _DISCOUNT.finditer(text):
        lower = product.sale_price and product.price and product.sale_price.amount < product.price.amount
        if not lower or not _FORMER.search(match.group()):
            raise Refused("discount")


def _denied(text: str, match: re.Match[str]) -> bool:
    """Return whether a negation stands in the clause of a match or behind it: a shirt that needs no iron is still in stock."""
    clause = max((text.rfind(mark, 0, match.start()) for mark in ",，;；"), default=-1)
    own = text[clause + 1 :]
    for harmless in ZH_NOT_NEGATION:
        own = own.replace(harmless, "")
    return NEGATIONS.search(own) is not None


def check_brands(text: str, product: Product, others: Sequence[Product]) -> None:
    """Refuse a sentence that names another product's brand, or a maker that is not this product's.

    A brand that this product's own title names may follow ``for`` or ``适用``: a case is for another maker's phone.
    """
    own = fold(product.brand).lower()
    for other in others:
        brand = fold(other.brand).strip()
        if len(brand) < 2 or brand.lower() in own or own == brand.lower():
            continue
        pattern = rf"(?<![A-Za-z]){re.escape(brand)}(?![A-Za-z])"
        for match in re.finditer(pattern, text, 0 if brand.isascii() else re.IGNORECASE):
            named = brand.lower() in fold(product.title).lower()
            if not (named and _COMPATIBLE.search(text[: match.start()])):
                raise Refused("brand")
    for match in _MAKER.finditer(text):
        maker = (match[1] or match[2]).lower()
        if not own or not (own.startswith(maker) or maker.startswith(own) or own.split()[0] == maker.split("'")[0]):
            raise Refused("brand")
