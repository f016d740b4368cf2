"""A large catalogue made of a real one: ``python -m benchmarks.recombine FEED --products 1000000 > million.jsonl``.

In: a feed. Out: JSON lines of products, the same for the same seed. A made product is a real one with the brand, attribute
values and model number of others of its kind, said in its title too; its price is spread around the real one's, its GTIN has a
valid check digit. Kinds are the categories, or where there are none the last words of titles. So words, lengths, sparse
attributes and prices are spread as in the real catalogue, neighbours are as near as variants of real products are, and no two
products are the same. Nothing of a feed is kept here.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import orjson

from engine.language import words
from engine.schema import AttributeValue, Money, Product, Quantity
from engine.settings import load_settings
from indexer.clean import Cleaned, clean_row
from indexer.feeds import open_feed

__all__ = ["feed_row", "read_products", "recombined"]

_CODE = re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])[\w-]{4,}\b")
_FEW = 4
"""A kind that fewer products have is no kind: they are taken as of the wider one."""
_SWAPPED = 0.4
"""Share of the attributes of a product that are taken from another of its kind."""
_PRICE_SPREAD = 0.25


def read_products(feed: Path) -> list[Product]:
    """Return the products of a feed that can be used, in the order of their ids."""
    settings = load_settings()
    with open_feed(feed) as opened:
        cleaned = (
            clean_row(
                row,
                default_currency=settings.default_currency,
                max_price=settings.max_price,
                max_cell_chars=settings.max_cell_chars,
            )
            for row in opened.rows()
        )
        found = {c.product.id: c.product for c in cleaned if isinstance(c, Cleaned)}
    return [found[name] for name in sorted(found)]


def recombined(products: list[Product], n: int, seed: int = 0) -> Iterator[Product]:
    """Yield ``n`` products made of ``products``, in no order; ids are ``M`` and nine digits."""
    rng = random.Random(seed)
    kinds = _kinds(products)
    numbers = list(range(n))
    rng.shuffle(numbers)
    for number in numbers:
        base = rng.choice(products)
        yield _made(base, kinds[base.id], number, rng)


def _kinds(products: list[Product]) -> dict[str, list[Product]]:
    """Return for each product those of its kind."""
    wide: defaultdict[str, list[Product]] = defaultdict(list)
    named: dict[str, list[str]] = {}
    for product in products:
        last = [w.text for w in words(product.title)][-2:]
        named[product.id] = [" > ".join(product.category), " ".join(last), last[-1] if last else ""]
        for name in filter(None, dict.fromkeys(named[product.id])):
            wide[name].append(product)
    return {
        product.id: next((wide[name] for name in named[product.id] if len(wide[name]) >= _FEW), [product])
        for product in products
    }


def _made(base: Product, kind: list[Product], number: int, rng: random.Random) -> Product:
    brand = rng.choice(kind).brand or base.brand
    attributes = dict(base.attributes)
    said = {base.brand: brand} if base.brand else {}
    for name, values in base.attributes.items():
        if rng.random() < _SWAPPED and (other := rng.choice(kind).attributes.get(name)):
            attributes[name] = other
            said.update(_said(values, other))
    codes = {code: _respelled(code, rng) for code in dict.fromkeys(_CODE.findall(f"{base.title} {base.mpn}"))}
    text = {**{old: new for old, new in said.items() if len(old) > 1}, **codes}
    return replace(
        base,
        id=f"M{number:09d}",
        title=_put(base.title, text),
        description=_put(base.description, text),
        brand=brand,
        mpn=_put(base.mpn, codes),
        gtin=(_gtin(number, rng),) if base.gtin else (),
        item_group_id=f"{base.item_group_id}-{number % 97}" if base.item_group_id else "",
        price=_near(base.price, rng),
        sale_price=None,
        attributes=attributes,
    )


def _said(old: tuple[AttributeValue, ...], new: tuple[AttributeValue, ...]) -> Iterator[tuple[str, str]]:
    """Yield how the values of an attribute are written and are to be written."""
    for before, after in zip(old, new, strict=False):
        if isinstance(before, str | Quantity) and isinstance(after, str | Quantity):
            yield str(before), str(after)


def _put(text: str, said: dict[str, str]) -> str:
    """Return a text in which everything of ``said`` is said the new way, found as whole words in one pass."""
    if not said:
        return text
    pattern = "|".join(re.escape(old) for old in sorted(said, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", lambda m: said[m.group()], text)


def _respelled(code: str, rng: random.Random) -> str:
    """Return a model number of the same shape with other digits."""
    return "".join(rng.choice("0123456789") if c.isdigit() else c for c in code)


def _near(price: Money | None, rng: random.Random) -> Money | None:
    """Return a price around another, ending in 5 or 9 as prices do."""
    if price is None:
        return None
    amount = max(1, round(price.amount * rng.lognormvariate(0, _PRICE_SPREAD)))
    return Money(amount - amount % 10 + rng.choice((5, 9)), price.currency)


def _gtin(number: int, rng: random.Random) -> str:
    """Return a GTIN-13 that no other product made here has."""
    digits = f"{rng.randrange(100):02d}{number:010d}"
    total = sum(int(d) * (3 if place % 2 else 1) for place, d in enumerate(digits))
    return digits + str(-total % 10)


def feed_row(product: Product) -> bytes:
    """Return a product as a line of a feed."""
    row: dict[str, object] = {
        "id": product.id,
        "title": product.title,
        "description": product.description,
        "brand": product.brand,
        "category": " > ".join(product.category),
        "mpn": product.mpn,
        "gtin": list(product.gtin),
        "item_group_id": product.item_group_id,
        "availability": product.availability,
        "price": "" if product.price is None else str(product.price),
    }
    for name, values in product.attributes.items():
        told = [str(value) if isinstance(value, Quantity) else value for value in values]
        row[name] = told[0] if len(told) == 1 else told
    return orjson.dumps({name: value for name, value in row.items() if value not in ("", [])}) + b"\n"


def main(arguments: Iterable[str] | None = None) -> None:
    """Write the products to standard output."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("feed", type=Path)
    parser.add_argument("--products", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(None if arguments is None else list(arguments))
    for product in recombined(read_products(given.feed), given.products, given.seed):
        sys.stdout.buffer.write(feed_row(product))


if __name__ == "__main__":
    main()
