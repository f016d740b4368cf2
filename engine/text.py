"""What of a product is read: one text for the encoder, weighted fields for BM25.

In: a :class:`~engine.schema.Product`. Out: strings. Price and stock are in neither, so that changing them embeds
nothing. Knows nothing of models or indexes. :data:`TEXT_VERSION` is stored in every snapshot: another version
embeds everything again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping

from engine.language import language_of
from engine.lexicon import Lexicon
from engine.schema import AttributeValue, Product

__all__ = ["FIELDS", "TEXT_VERSION", "attribute_text", "content_hash", "embedding_text", "glossing", "lexical_fields"]

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


def embedding_text(product: Product, lexicon: Lexicon | None = None) -> str:
    """Return the one text a product is embedded from, the most telling parts first, since encoders cut the end.

    With a ``lexicon``, for a model that reads no Chinese, Chinese parts are put into English word by word.
    """
    parts = [product.title]
    if product.brand and product.brand.lower() not in product.title.lower():
        parts.append(product.brand)
    if product.category:
        parts.append(product.category[-1])
    attributes = [text for n, v in product.attributes.items() if (text := attribute_text(n, v))]
    parts += [product.description[:_EMBEDDED_DESCRIPTION], "; ".join(attributes[:_EMBEDDED_ATTRIBUTES])]
    if lexicon is not None:
        parts = [_glossed(part, lexicon) for part in parts]
    return ". ".join(p for p in parts if p)


def glossing(languages: Collection[str], lexicon: Lexicon) -> Lexicon | None:
    """Return the lexicon that puts Chinese into English for a model of these languages, ``None`` where it reads Chinese."""
    return None if "zh" in languages else lexicon


def _glossed(text: str, lexicon: Lexicon) -> str:
    return lexicon.english(text)[0] if language_of(text) == "zh" else text


def lexical_fields(product: Product) -> dict[str, str]:
    """Return the text of each field of :data:`FIELDS`."""
    return {
        "title": product.title,
        "brand": product.brand,
        "category": " ".join(product.category),
        "description": product.description,
        "attributes": "; ".join(filter(None, (product.mpn, *(attribute_text(n, v) for n, v in product.attributes.items())))),
    }


def content_hash(product: Product, lexicon: Lexicon | None = None) -> str:
    """Return the hex SHA-256 of what the encoder would read of the product."""
    return hashlib.sha256(embedding_text(product, lexicon).encode()).hexdigest()
