"""Which format a feed is in, told from its first bytes and never from its name.

In: an opened source. Out: a format name of :data:`FORMATS` and, for delimited text, its delimiter; or a
:class:`~engine.errors.FeedError` that says what was tried. Knows nothing of how a format is read.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from engine.errors import FeedError
from indexer.feeds.delimited import DELIMITERS, header_of
from indexer.feeds.naming import Columns, snake
from indexer.feeds.source import Source

__all__ = ["FORMATS", "Recognised", "delimiter_of", "recognise"]

FORMATS = (
    "google-tsv",
    "google-csv",
    "google-xml",
    "shopify-csv",
    "woocommerce-csv",
    "icecat-jsonl",
    "jsonl",
    "csv",
    "parquet",
)
_GOOGLE = frozenset(
    [
        "link",
        "image_link",
        "availability",
        "google_product_category",
        "product_type",
        "gtin",
        "mpn",
        "condition",
        "brand",
        "item_group_id",
        "identifier_exists",
        "additional_image_link",
        "sale_price",
        "product_detail",
        "age_group",
    ]
)
_SHOPIFY = frozenset(
    [
        "variant_price",
        "variant_sku",
        "option1_name",
        "option1_value",
        "body_html",
        "variant_inventory_qty",
        "image_src",
        "option_1_name",
        "option_1_value",
        "product_image_url",
        "published_on_online_store",
        "compare_at_price",
        "inventory_quantity",
        "seo_title",
        "vendor",
        "product_category",
        "charge_tax",
        "url_handle",
    ]
)
_XML = re.compile(r"\s*<(\?xml|rss|feed|rdf|channel|products|catalog|!--|!DOCTYPE\s+(rss|feed))", re.IGNORECASE)
_HTML = re.compile(r"\s*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_PROBE_CHARS = 65_536


@dataclass(frozen=True, slots=True)
class Recognised:
    """A format, its delimiter where it has one, and the column names seen at its beginning."""

    format: str
    delimiter: str = ""
    columns: tuple[str, ...] = ()
    array: bool = False


def _known(header: list[str]) -> int:
    """Return how many of these columns mean a field of a product."""
    columns = Columns()
    return len({role.field for role in map(columns.role, header) if role.field})


def delimiter_of(text: str) -> tuple[str, list[str]]:
    """Return the delimiter that makes the most sense of the first line, and the header it gives."""
    headers = [(delimiter, header_of(text, delimiter)) for delimiter in DELIMITERS]
    return max(headers, key=lambda found: (_known(found[1]), len(found[1])))


def _table(text: str) -> Recognised | None:
    delimiter, header = delimiter_of(text)
    names = {snake(name) for name in header}
    if "title" in names and names & {"handle", "url_handle"} and names & _SHOPIFY:
        name = "shopify-csv"
    elif {"name", "regular_price"} <= names and names & {"sku", "id"} and names & {"type", "categories", "published"}:
        name = "woocommerce-csv"
    elif {"id", "title"} <= names and len(names & _GOOGLE) >= 2:
        name = "google-tsv" if delimiter == "\t" else "google-csv"
    elif _known(header) >= 2:
        name = "csv"
    else:
        return None
    return Recognised(name, delimiter, tuple(header))


def _objects(text: str) -> Recognised | None:
    """Recognise JSON from whichever of the first lines is whole and valid."""
    start = text.lstrip()
    if start.startswith("["):
        inside = start[1:].lstrip()
        if not inside.startswith(("{", "]")):
            return None
        try:
            first, _ = json.JSONDecoder().raw_decode(inside)
        except (ValueError, RecursionError):
            first = {}
        return Recognised("jsonl", columns=tuple(first), array=True)
    if not start.startswith("{"):
        return None
    keys: dict[str, None] = {}
    for line in start.split("\n")[:50]:
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            keys.update(dict.fromkeys(document))
    if not keys and "\n" in start.rstrip() and not re.match(r'\{[ \t]*"', start):
        return None
    typed = sum(1 for key in keys if key.startswith(("attr_t_", "attr_n_", "attr_b_")))
    icecat = typed and ("supplier" in keys or "short_description" in keys)
    return Recognised("icecat-jsonl" if icecat else "jsonl", columns=tuple(keys))


def recognise(source: Source) -> Recognised:
    """Return the format of a feed.

    Raises:
        FeedError: it is in none of the formats.
    """
    if source.sample.startswith(b"PAR1"):
        return Recognised("parquet")
    text = source.sample_text().lstrip("\ufeff")
    if _HTML.match(text):
        raise FeedError(f"{source.path} is a web page, not a product feed. Check that the download needs no login.")
    if _CONTROL.search(text[:_PROBE_CHARS]):
        raise FeedError(
            f"{source.path} holds binary data that is no Parquet or gzip file, or UTF-16 text without its "
            f"byte-order mark. Tried: {', '.join(FORMATS)}."
        )
    if _XML.match(text):
        return Recognised("google-xml")
    if found := _objects(text) or _table(text):
        return found
    _, header = delimiter_of(text)
    shown = ", ".join(name[:40] for name in header[:12])
    raise FeedError(
        f"{source.path} is not a product feed that is known: its first line has the columns {shown!r}, and fewer "
        "than two of them mean a field such as id, title or price. "
        f"Tried: {', '.join(FORMATS)}. Name the columns, or the format."
    )
