"""A row becomes a product, or a rejection that says why.

In: a :class:`~indexer.feeds.records.RawRow`. Out: :class:`Cleaned` with the product and the codes of what was repaired
on the way, or :class:`Rejection`. Never raises on what a feed holds. Repeated ids are the caller's to find.
Knows nothing of files, formats or snapshots.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from engine.language import language_of
from engine.schema import Money, Product
from indexer.clean.attributes import clean_attributes
from indexer.clean.price import BadPrice, parse_price
from indexer.clean.text import clean_code, clean_text, gives_orders
from indexer.feeds.records import RawRow, too_long

__all__ = ["REASONS", "REPAIRS", "Cleaned", "Rejection", "clean_row"]

REASONS: Mapping[str, str] = {
    "missing_id": "The row has no id.",
    "bad_id": "The id is longer than 256 characters.",
    "missing_title": "The row has no title, or nothing is left of it once it is cleaned.",
    "bad_price": "The price is not a number, or names no currency that exists.",
    "negative_price": "The price is below zero.",
    "absurd_price": "The price is above the highest price believed.",
    "cell_too_long": "A cell is longer than may be read.",
    "malformed_row": "The row cannot be read: wrong columns, broken JSON, or bytes in another encoding.",
    "duplicate_id": "An earlier row has the same id.",
}
"""Why a row is rejected: reason code → sentence."""

REPAIRS: Mapping[str, str] = {
    "html": "Markup or escaped characters were removed.",
    "mojibake": "Text decoded in the wrong encoding was put right.",
    "invisible": "Invisible or control characters were removed.",
    "width": "Full-width letters or digits were made narrow.",
    "undecodable": "A character was lost before the feed reached us.",
    "title_cut": "The title was cut to 500 characters.",
    "description_cut": "The description was cut to 20,000 characters.",
    "attribute_cut": "An attribute was cut to 2,000 characters or 200 values.",
    "attribute_not_finite": "An attribute that is no finite number was left out.",
    "availability_unknown": "The availability was not understood and left empty.",
    "price_zero": "A price of zero was taken as no price.",
    "price_missing": "Words in place of a price were taken as no price.",
    "sale_price_ignored": "The sale price was not below the price, or could not be read.",
    "sale_price_only": "There was a sale price and no price; it became the price.",
    "link_ignored": "A link that is no http address was left out.",
    "gtin_checksum": "A product code has a wrong check digit or length; it was kept.",
    "gtin_invalid": "A product code that is no number was left out.",
    "instruction_text": "A text gives orders to an assistant; it is kept as data, and left out of the attributes.",
}
"""What was put right on the way: repair code → sentence."""

_MAX_TITLE = 500
_MAX_DESCRIPTION = 20_000
_MAX_ID = 256
_MAX_NAME = 200
_MAX_LINK = 2_048
_LINK = re.compile(r"https?://[^\s<>\"'\\/][^\s<>\"'\\]*", re.IGNORECASE)
_CATEGORY = re.compile(r"\s*[>›»|＞→]\s*|\s+/\s+|\s*::\s*")
_NOTHING = frozenset({"", "n/a", "na", "none", "null", "-", "--", "无", "暂无"})
_Availability = Literal["", "in_stock", "out_of_stock", "preorder", "backorder"]
_STATES: Mapping[_Availability, str] = {
    "in_stock": "in stock|instock|available|available for order|limited availability|limitedavailability|low stock|"
    "in store only|instoreonly|online only|onlineonly|yes|true|y|有货|现货|有库存|充足|库存充足|库存紧张|有|是|在售"
    "|上架",
    "out_of_stock": "out of stock|outofstock|sold out|soldout|unavailable|not available|discontinued|no|false|n|"
    "缺货|无货|无库存|售罄|售完|已售罄|断货|下架|已下架|停产|无|否|没货|暂无库存",
    "preorder": "preorder|pre order|presale|pre sale|coming soon|预售|预订|预定|预购",
    "backorder": "backorder|back order|on backorder|onbackorder|available on backorder|made to order|madetoorder|"
    "到货通知|补货中|订货|可预订补货",
}
_AVAILABLE = {word: state for state, words in _STATES.items() for word in words.split("|")}
_QUANTITY = re.compile(
    r"(?:仅剩|剩余|库存|only|qty:?)?\s*([-+]?\d{1,12}(?:\.\d+)?)\s*(?:in stock|left|pcs|available|件|个|台|双)?"
)


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that became no product. ``reason`` is a code of :data:`REASONS`; ``detail`` is a whole sentence."""

    line: int
    id: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A product, and the sorted codes of :data:`REPAIRS` that were needed."""

    product: Product
    repairs: tuple[str, ...] = ()


class _Reject(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def _first(value: object) -> object:
    return next(iter(value), None) if isinstance(value, list | tuple) else value


def _scalar(value: object) -> str:
    """Return a cell as text; a whole float such as ``123.0`` is an id that a spreadsheet widened."""
    value = _first(value)
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _shown(text: str) -> str:
    text = clean_code(text[:200])
    return repr(text if len(text) <= 60 else f"{text[:57]}…")


class _Row:
    """One row being cleaned: its values, and the repairs gathered so far."""

    def __init__(self, row: RawRow) -> None:
        self.values = row.values
        self.minor_units = row.minor_units
        self.repairs: set[str] = set()

    def text(self, name: str, limit: int = _MAX_NAME, cut_code: str = "") -> str:
        value = self.values.get(name)
        joined = " ".join(map(_scalar, value)) if isinstance(value, list | tuple) else _scalar(value)
        cleaned = clean_text(joined)
        self.repairs |= cleaned.repairs
        if len(cleaned.text) > limit and cut_code:
            self.repairs.add(cut_code)
        text = cleaned.text[:limit].rstrip()
        return "" if text.lower() in _NOTHING else text

    def code(self, name: str, limit: int = _MAX_ID) -> str:
        code = clean_code(_scalar(self.values.get(name)))
        return "" if code.lower() in _NOTHING - {"na"} else code[:limit].rstrip()

    def link(self, name: str) -> str:
        raw = clean_code(_scalar(self.values.get(name))).replace("&amp;", "&").replace(" ", "%20")
        if not raw or (len(raw) <= _MAX_LINK and _LINK.fullmatch(raw)):
            return raw
        self.repairs.add("link_ignored")
        return ""

    def category(self) -> tuple[str, ...]:
        value = self.values.get("category")
        cells = [value] if not isinstance(value, list | tuple) else list(value)
        paths: list[tuple[str, ...]] = []
        for cell in cells[:50]:
            # Split after cleaning: "&gt;" is how XML and HTML write the separator.
            cleaned = clean_text(_scalar(cell))
            self.repairs |= cleaned.repairs
            parts = (part.strip()[:_MAX_NAME].strip() for part in _CATEGORY.split(cleaned.text))
            paths.append(tuple(part for part in parts if part.lower() not in _NOTHING)[:20])
        if len(paths) > 1 and all(len(path) <= 1 for path in paths):
            return tuple(part for path in paths for part in path)[:20]
        return max(paths, key=len, default=())

    def availability(self) -> _Availability:
        value = _first(self.values.get("availability"))
        if isinstance(value, bool):
            return "in_stock" if value else "out_of_stock"
        if isinstance(value, int | float) and value == value:
            return "in_stock" if value > 0 else "out_of_stock"
        word = clean_code(_scalar(value)[:200]).lower()
        word = re.sub(r"^https?://(?:www\.)?schema\.org/", "", word)
        word = " ".join(re.sub(r"[_\-.!！。]+", " ", word).split()) if not re.match(r"[-+]?\d", word) else word
        if not word:
            return ""
        if state := _AVAILABLE.get(word):
            return state
        if match := _QUANTITY.fullmatch(word):
            return "in_stock" if float(match[1]) > 0 else "out_of_stock"
        self.repairs.add("availability_unknown")
        return ""

    def gtin(self) -> tuple[str, ...]:
        value = self.values.get("gtin")
        found: dict[str, None] = {}
        for cell in value if isinstance(value, list | tuple) else [value]:
            for piece in re.split(r"[,;|/、，；]+", clean_code(_scalar(cell)[:2_000])):
                digits = re.sub(r"[\s-]+", "", piece)
                if not digits or digits.lower() in _NOTHING or not digits.strip("0"):
                    continue
                if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
                    self.repairs.add("gtin_invalid")
                    continue
                if not _check_digit_fits(digits):
                    self.repairs.add("gtin_checksum")
                found[digits] = None
        return tuple(found)[:50]


def _check_digit_fits(digits: str) -> bool:
    """Return whether a GTIN-8, -12, -13 or -14 ends in its check digit (GS1 General Specifications, 7.9)."""
    if len(digits) not in (8, 12, 13, 14):
        return False
    weighted = sum(int(d) * (3 if place % 2 else 1) for place, d in enumerate(reversed(digits)))
    return weighted % 10 == 0


def _prices(row: _Row, title: str, default_currency: str, max_price: float) -> tuple[Money | None, Money | None]:
    """Return price and sale price; a bad price rejects the row, a bad sale price is only ignored."""
    column = _scalar(row.values.get("currency"))
    chinese = language_of(title) == "zh"

    def read(name: str) -> Money | BadPrice | None:
        return parse_price(
            _first(row.values.get(name)),
            column=column,
            default_currency=default_currency,
            max_price=max_price,
            chinese=chinese,
            minor_units=row.minor_units,
        )

    price, sale = read("price"), read("sale_price")
    if isinstance(price, BadPrice):
        raise _Reject(price.reason, f"The price {_shown(_scalar(row.values.get('price')))} {price.detail}")
    if price is None and _scalar(row.values.get("price")).strip():
        row.repairs.add("price_missing")
    if price is not None and price.amount == 0:
        row.repairs.add("price_zero")
        price = None
    if isinstance(sale, Money) and sale.amount == 0:
        sale = None
        row.repairs.add("sale_price_ignored")
    if price is None and isinstance(sale, Money):
        row.repairs.add("sale_price_only")
        return sale, None
    if isinstance(sale, BadPrice) or (
        sale and price and (sale.currency != price.currency or sale.amount >= price.amount)
    ):
        row.repairs.add("sale_price_ignored")
        return price, None
    return price, sale


def _check(raw: RawRow, max_cell_chars: int) -> None:
    if raw.problem:
        raise _Reject(*raw.problem)
    for cells in (raw.values, raw.attributes):
        for name, value in cells.items():
            if problem := too_long(str(name)[:100], value, max_cell_chars):
                raise _Reject(*problem)


def _product(raw: RawRow, row: _Row, default_currency: str, max_price: float) -> Product:
    id_text = clean_code(_scalar(row.values.get("id")))
    if not id_text:
        raise _Reject("missing_id", "The row has no id. Give every product an id of its own.")
    if len(id_text) > _MAX_ID:
        raise _Reject(
            "bad_id", f"The id {_shown(id_text)} has {len(id_text)} characters; at most {_MAX_ID} are allowed."
        )
    title = row.text("title", _MAX_TITLE, "title_cut")
    if not title:
        before = _scalar(row.values.get("title"))
        held = f"The title {_shown(before)} holds nothing to show" if before.strip() else "The row has no title"
        raise _Reject("missing_title", f"{held}. Give the product a title.")
    price, sale_price = _prices(row, title, default_currency, max_price)
    description = row.text("description", _MAX_DESCRIPTION, "description_cut")
    if gives_orders(title) or gives_orders(description):
        row.repairs.add("instruction_text")
    attributes, repairs = clean_attributes(raw.attributes)
    row.repairs |= repairs
    return Product(
        id=id_text,
        title=title,
        description=description,
        brand=row.text("brand"),
        category=row.category(),
        price=price,
        sale_price=sale_price,
        availability=row.availability(),
        link=row.link("link"),
        image_link=row.link("image_link"),
        gtin=row.gtin(),
        mpn=row.code("mpn"),
        item_group_id=row.code("item_group_id"),
        attributes=attributes,
    )


def clean_row(row: RawRow, *, default_currency: str, max_price: float, max_cell_chars: int) -> Cleaned | Rejection:
    """Return the product of a row, or why there is none.

    ``max_price`` is in major units. A missing price is allowed; a price of zero is taken as missing.
    """
    state = _Row(row)
    try:
        _check(row, max_cell_chars)
        product = _product(row, state, default_currency, max_price)
    except _Reject as error:
        known = clean_code(_scalar(row.values.get("id"))[:_MAX_ID])
        return Rejection(row.line, known, error.reason, str(error))
    return Cleaned(product, tuple(sorted(state.repairs)))
