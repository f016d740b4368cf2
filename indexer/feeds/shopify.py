"""Shopify product CSV: several rows a product, one for each variant and each image.

In: a source. Out: one row for each variant, with the product's own cells copied from the first row of its handle and
``item_group_id`` the handle. Rows that only carry a further image yield nothing. Old and new header names are known.
Only the present handle is remembered, as Shopify writes the rows of a product together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from indexer.feeds.naming import Columns, add_attribute, attribute_name, build_row, is_empty, snake
from indexer.feeds.records import RawRow
from indexer.feeds.source import Source
from indexer.feeds.tables import read_cells

__all__ = ["SHOPIFY", "read_shopify", "shopify_mapping"]

SHOPIFY: Mapping[str, tuple[str, int]] = {
    "sku": ("id", -1),
    "url_handle": ("item_group_id", -1),
    "body_html": ("description", -1),
    "vendor": ("brand", -1),
    "product_category": ("category", -2),
    "type": ("category", -1),
    "barcode": ("gtin", -1),
    "product_image_url": ("image_link", -1),
    "image_src": ("image_link", -1),
    "variant_image": ("image_link", -2),
    "google_shopping_mpn": ("mpn", -1),
    "inventory_quantity": ("availability", -1),
    "weight_value_grams": ("", 0),
    "status": ("", 0),
}
# Old header names, with "variant_" already taken off where it was only a prefix.
_RENAMED = {
    "handle": "url_handle",
    "inventory_qty": "inventory_quantity",
    "image": "variant_image",
    "image_url": "variant_image",
    "inventory_policy": "continue_selling_when_out_of_stock",
    "grams": "weight_value_grams",
}
_OF_VARIANT = frozenset(
    [
        "sku",
        "barcode",
        "price",
        "compare_at_price",
        "inventory_quantity",
        "continue_selling_when_out_of_stock",
        "inventory_tracker",
        "fulfillment_service",
        "weight_value_grams",
        "weight_unit",
        "weight_unit_for_display",
        "requires_shipping",
        "taxable",
        "charge_tax",
        "tax_code",
        "cost_per_item",
        "variant_image",
        "unit_price_total_measure",
        "unit_price_total_measure_unit",
    ]
)
_OF_IMAGE = frozenset(["image_src", "product_image_url", "image_position", "image_alt_text"])
_OPTION = re.compile(r"option_?([123])_(name|value)")
_METAFIELD = re.compile(r"\s*\(product\.metafields\.[^)]*\)\s*$")


def _column(raw: str) -> str:
    """Return a header under its new name: ``Variant Inventory Qty`` → ``inventory_quantity``."""
    name = snake(_METAFIELD.sub("", raw))
    return _RENAMED.get(plain := name.removeprefix("variant_"), plain)


def _larger(first: str, second: str) -> bool:
    try:
        return Decimal(first) > Decimal(second)
    except InvalidOperation:
        return False


def _options(cells: dict[str, str], parent: dict[str, str]) -> dict[str, str]:
    """Return option name → value; the names stand only in the product's first row."""
    found: dict[str, str] = {}
    for name, value in cells.items():
        if (match := _OPTION.fullmatch(name)) and match[2] == "value" and value.strip():
            stem = name[: -len("value")]
            label = cells.get(f"{stem}name", "").strip() or parent.get(f"{stem}name", "").strip() or f"Option{match[1]}"
            if (label, value.strip()) != ("Title", "Default Title"):
                found[label] = value.strip()
    return found


def _availability(cells: dict[str, str]) -> str:
    quantity = cells.get("inventory_quantity", "").strip()
    if "inventory_tracker" in cells and not cells["inventory_tracker"].strip():
        return "in stock"  # Shopify sells what it does not count.
    keeps_selling = cells.get("continue_selling_when_out_of_stock", "").strip().lower() in {"continue", "true"}
    if keeps_selling and re.fullmatch(r"0+|-\d+", quantity):
        return "backorder"
    return quantity


class _Names:
    """Raw headers of a feed and their columns."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self._known: dict[str, str] = {}

    def of(self, raw: str) -> str:
        """Return the column of a raw header, and have the mapping show it under its raw name."""
        if (name := self._known.get(raw)) is None:
            name = self._known[raw] = _column(raw)
            option = _OPTION.fullmatch(name)
            target = "attributes.*" if option else self.columns.role(name).target
            if name != raw:
                self.columns.mapping.pop(name, None)
            self.columns.mapping[raw] = "sale_price, price" if name == "price" else target
        return name


def shopify_mapping(columns: Columns, header: Iterable[str]) -> None:
    """Make the mapping of ``columns`` show the raw headers of a Shopify feed."""
    names = _Names(columns)
    for raw in header:
        names.of(raw)


def _is_variant(cells: dict[str, str], options: dict[str, str]) -> bool:
    return bool(options or any(cells.get(name, "").strip() for name in ("sku", "price", "option1_value")))


def _variant(
    line: int, cells: dict[str, str], parent: dict[str, str], options: dict[str, str], columns: Columns
) -> RawRow:
    own = {n: v for n, v in cells.items() if not _OPTION.fullmatch(n)}
    for name, value in parent.items():
        if not own.get(name, "").strip() and name not in _OF_VARIANT and not _OPTION.fullmatch(name):
            own[name] = value
    available = _availability(own)
    was, now = own.pop("compare_at_price", "").strip(), own.get("price", "").strip()
    grams = own.pop("weight_value_grams", "").strip()
    tags = own.pop("tags", "")
    row = build_row(line, ((columns.role(name), value) for name, value in own.items()))
    values, attributes = dict(row.values), dict(row.attributes)
    if was and _larger(was, now):
        values["price"], values["sale_price"] = was, now
    elif was:
        attributes["compare_at_price"] = was
    if not is_empty(available):
        values["availability"] = available
    handle = own.get("url_handle", "").strip()
    if is_empty(values.get("id")):
        values["id"] = "-".join([handle, *(snake(value).replace("_", "-") for value in options.values())])
    values["item_group_id"] = handle
    for name, value in options.items():
        add_attribute(attributes, attribute_name(name), value)
    if tags.strip():
        attributes["tags"] = [tag.strip() for tag in tags.split(",") if tag.strip()]
    if _larger(grams, "0"):
        add_attribute(attributes, "weight", f"{grams} g")
    return replace(row, values=values, attributes=attributes)


def read_shopify(source: Source, delimiter: str, columns: Columns, max_cell_chars: int) -> Iterator[RawRow]:
    """Yield one row for each variant of each product."""
    names = _Names(columns)
    parent: dict[str, str] = {}
    for line, pairs, problem in read_cells(source, delimiter, max_cell_chars):
        cells = {names.of(raw): cell for raw, cell in pairs}
        handle = cells.get("url_handle", "").strip()
        if problem:
            yield RawRow(line, {"id": cells.get("sku", "").strip() or handle}, {}, problem=problem)
            continue
        first = handle != parent.get("url_handle", "").strip()
        if first or not handle:
            parent = cells
        options = _options(cells, parent)
        if first or not handle or _is_variant(cells, options):
            yield _variant(line, cells, parent, options, columns)
