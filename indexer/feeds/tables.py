"""Delimited feeds: Google Merchant TSV and CSV, WooCommerce CSV, Shopify CSV's columns, and plain CSV.

In: a source, its delimiter and the names of its format. Out: rows under canonical names.
Knows nothing of how records are cut (``delimited``) or how variants are grouped (``shopify``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from indexer.feeds.delimited import check_cells, read_records
from indexer.feeds.naming import Columns, add_attribute, attribute_name, build_row, is_empty, snake
from indexer.feeds.records import RawRow
from indexer.feeds.source import Source

__all__ = [
    "GOOGLE",
    "WOOCOMMERCE",
    "google_details",
    "read_cells",
    "read_google",
    "read_plain",
    "read_woocommerce",
    "with_details",
]

GOOGLE: Mapping[str, tuple[str, int]] = {
    # product_type is the shop's own path; Google's taxonomy (sometimes a bare number) stands in for it.
    "product_type": ("category", -2),
    "google_product_category": ("category", -1),
    "additional_image_link": ("", 0),
    "model": ("", 0),
}
WOOCOMMERCE: Mapping[str, tuple[str, int]] = {
    "sku": ("id", -2),
    "id": ("id", -1),
    "name": ("title", -1),
    "description": ("description", -2),
    "short_description": ("description", -1),
    "regular_price": ("price", -1),
    "categories": ("category", -1),
    "images": ("image_link", -1),
    "parent": ("item_group_id", -1),
    "in_stock": ("", 0),
    "stock": ("", 0),
    "brands": ("brand", -1),
    "gtin_upc_ean_or_isbn": ("gtin", -1),
    "type": ("", 0),
}
_LISTED = re.compile(r"(?<!\\),\s*")
_OPTION = re.compile(r"attribute_(\d+)_(name|value|value_s|visible|global|default)")


def read_cells(
    source: Source, delimiter: str, max_cell_chars: int
) -> Iterator[tuple[int, list[tuple[str, str]], tuple[str, str] | None]]:
    """Yield ``(line, [(raw column, cell), …], problem)`` for each record after the header."""
    records = read_records(source, delimiter)
    first = next(records, None)
    if first is None:
        return
    header = [cell.strip() or f"column_{place}" for place, cell in enumerate(first.cells, start=1)]
    for record in records:
        problem = check_cells(record, header, max_cell_chars)
        cells = zip(header, record.cells, strict=False)
        # A rejected row keeps its short cells, so that the report can name its id.
        yield record.line, [(name, cell if not problem else cell[:256]) for name, cell in cells], problem


def _row(columns: Columns, line: int, cells: list[tuple[str, str]], problem: tuple[str, str] | None) -> RawRow:
    row = build_row(line, ((columns.role(name), cell) for name, cell in cells))
    return replace(row, problem=problem) if problem else row


def read_plain(source: Source, delimiter: str, columns: Columns, max_cell_chars: int) -> Iterator[RawRow]:
    """Yield the rows of a CSV whose columns have names of their own."""
    for line, cells, problem in read_cells(source, delimiter, max_cell_chars):
        yield _row(columns, line, cells, problem)


def google_details(text: str) -> Iterator[tuple[str, str]]:
    """Yield ``(name, value)`` of a ``product_detail`` cell: ``section:name:value``, several separated by commas."""
    for piece in re.split(r",(?=[^:,]*:[^:,]*:)", text):
        parts = [part.strip() for part in piece.split(":", 2)]
        if len(parts) == 3 and parts[1] and parts[2]:
            yield parts[1], parts[2]
        elif len(parts) == 2 and all(parts):
            yield parts[0], parts[1]


def with_details(row: RawRow) -> RawRow:
    """Return a Google row with its ``product_detail`` cells spread into attributes of their own names."""
    if "product_detail" not in row.attributes:
        return row
    attributes = dict(row.attributes)
    cells = attributes.pop("product_detail")
    for cell in cells if isinstance(cells, list) else [cells]:
        details = list(google_details(str(cell)))
        for name, value in details:
            add_attribute(attributes, attribute_name(name), value)
        if not details:
            add_attribute(attributes, "product_detail", cell)
    return replace(row, attributes=attributes)


def read_google(source: Source, delimiter: str, columns: Columns, max_cell_chars: int) -> Iterator[RawRow]:
    """Yield the rows of a Google Merchant feed."""
    for line, cells, problem in read_cells(source, delimiter, max_cell_chars):
        yield with_details(_row(columns, line, cells, problem))


def _split_list(cell: str) -> list[str]:
    """Split WooCommerce's comma lists, where ``\\,`` is a comma inside a name."""
    return [piece.replace("\\,", ",").strip() for piece in _LISTED.split(cell) if piece.strip()]


def _woo_options(cells: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], dict[str, object]]:
    """Take the ``Attribute N name`` and ``value(s)`` columns out of a row, as attributes."""
    rest: list[tuple[str, str]] = []
    named: dict[str, dict[str, str]] = {}
    for raw, cell in cells:
        if match := _OPTION.fullmatch(snake(raw)):
            named.setdefault(match[1], {})[match[2][:5]] = cell
        else:
            rest.append((raw, cell))
    options: dict[str, object] = {}
    for option in named.values():
        values = _split_list(option.get("value", ""))
        if option.get("name", "").strip() and values:
            add_attribute(options, attribute_name(option["name"]), values if len(values) > 1 else values[0])
    return rest, options


def _woo_availability(attributes: dict[str, object]) -> object:
    stated = str(attributes.get("in_stock", "")).strip().lower()
    return "backorder" if stated == "backorder" else stated if stated else attributes.get("stock", "")


def read_woocommerce(source: Source, delimiter: str, columns: Columns, max_cell_chars: int) -> Iterator[RawRow]:
    """Yield the rows of a WooCommerce export: the deepest category, the first image, options as attributes."""
    for line, cells, problem in read_cells(source, delimiter, max_cell_chars):
        rest, options = _woo_options(cells)
        row = _row(columns, line, rest, problem)
        values, attributes = dict(row.values), dict(row.attributes)
        for name, value in options.items():
            add_attribute(attributes, name, value)
        if not is_empty(available := _woo_availability(attributes)):
            values["availability"] = available
        paths = _split_list(str(values.get("category", "")))
        if len(paths) > 1:
            values["category"] = max(paths, key=lambda path: path.count(">"))
            add_attribute(attributes, "categories", paths)
        images = _split_list(str(values.get("image_link", "")))
        if len(images) > 1:
            values["image_link"] = images[0]
            add_attribute(attributes, "additional_image_link", images[1:])
        if isinstance(tags := attributes.get("tags"), str):
            attributes["tags"] = _split_list(tags)
        if attributes.get("type") == "variable" and "item_group_id" not in values:
            values["item_group_id"] = values.get("id", "")
        parent = str(values.get("item_group_id", ""))
        if parent.startswith("id:"):
            values["item_group_id"] = parent[3:]
        yield replace(row, values=values, attributes=attributes)
