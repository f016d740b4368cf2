"""What of a product is read: one text for the encoder, weighted fields for BM25.

In: a :class:`~engine.schema.Product`. Out: strings. Price and stock are in neither, so that changing them embeds
nothing. Knows nothing of models or indexes. :data:`TEXT_VERSION` is stored in every snapshot: another version
embeds everything again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from engine.schema import AttributeValue, Product

__all__ = ["FIELDS", "TEXT_VERSION", "attribute_text", "content_hash", "embedding_text", "lexical_fields"]

TEXT_VERSION = 1

FIELDS: Mapping[str, float] = {
    "title": 5.0,
    "brand": 2.0,
    "category": 2.0,
    "description": 1.0,
    "attributes": 0.3,
}
"""Lexical fields and their BM25F weights, in the order they are stored."""

_UNSPOKEN = re.compile(r"https?://|www\.|\d{4}-\d\d-\d\d(?:T|$)")
_EMBEDDED_ATTRIBUTES = 12
_EMBEDDED_DESCRIPTION = 600


def attribute_text(name: str, values: tuple[AttributeValue, ...]) -> str:
    """Return one attribute as words: ``battery life: 30 h``.

    A true flag is its name. False flags, addresses and timestamps say nothing to a shopper and are left out.
    """
    label = name.replace("_", " ")
    spoken = [v for v in values if not isinstance(v, bool) and not (isinstance(v, str) and _UNSPOKEN.match(v))]
    shown = [f"{v:g}" if isinstance(v, float) else str(v) for v in spoken]
    if shown:
        return f"{label}: {', '.join(shown)}"
    return label if any(v is True for v in values) else ""


def embedding_text(product: Product) -> str:
    """Return the one text a product is embedded from, the most telling parts first, since encoders cut the end."""
    parts = [product.title]
    if product.brand and product.brand.lower() not in product.title.lower():
        parts.append(product.brand)
    if product.category:
        parts.append(product.category[-1])
    head = ". ".join(parts)
    attributes = [text for n, v in product.attributes.items() if (text := attribute_text(n, v))]
    tail = "; ".join(attributes[:_EMBEDDED_ATTRIBUTES])
    return ". ".join(p for p in (head, product.description[:_EMBEDDED_DESCRIPTION], tail) if p)


def lexical_fields(product: Product) -> dict[str, str]:
    """Return the text of each field of :data:`FIELDS`."""
    return {
        "title": product.title,
        "brand": product.brand,
        "category": " ".join(product.category),
        "description": product.description,
        "attributes": "; ".join(filter(None, (product.mpn, *(attribute_text(n, v) for n, v in product.attributes.items())))),
    }


def content_hash(product: Product) -> str:
    """Return the hex SHA-256 of what the encoder would read of the product."""
    return hashlib.sha256(embedding_text(product).encode()).hexdigest()
