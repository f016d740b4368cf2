"""What of a product is read: one text for the encoder, weighted fields for BM25.

In: a :class:`~engine.schema.Product`. Out: strings. Price and stock are in neither, so that changing them embeds
nothing. Knows nothing of models or indexes. :data:`TEXT_VERSION` is stored in every snapshot: another version
embeds everything again.
"""

from __future__ import annotations

import hashlib
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

_EMBEDDED_ATTRIBUTES = 12
_EMBEDDED_DESCRIPTION = 600


def attribute_text(name: str, values: tuple[AttributeValue, ...]) -> str:
    """Return one attribute as words: ``battery life: 30 h``. A true flag is its name, a false one is left out."""
    label = name.replace("_", " ")
    shown = [str(v) if not isinstance(v, float) else f"{v:g}" for v in values if not isinstance(v, bool)]
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
    attributes = (attribute_text(n, v) for n, v in list(product.attributes.items())[:_EMBEDDED_ATTRIBUTES])
    tail = "; ".join(a for a in attributes if a)
    return ". ".join(p for p in (head, product.description[:_EMBEDDED_DESCRIPTION], tail) if p)


def lexical_fields(product: Product) -> dict[str, str]:
    """Return the text of each field of :data:`FIELDS`."""
    return {
        "title": f"{product.title} {product.mpn}".strip() if product.mpn not in product.title else product.title,
        "brand": product.brand,
        "category": " ".join(product.category),
        "description": product.description,
        "attributes": "; ".join(attribute_text(n, v) for n, v in product.attributes.items()),
    }


def content_hash(product: Product) -> str:
    """Return the hex SHA-256 of what the encoder would read of the product."""
    return hashlib.sha256(embedding_text(product).encode()).hexdigest()
