"""A toy shop for tests: random products, and an engine over a snapshot indexed with the toy encoder."""

from __future__ import annotations

import random
from pathlib import Path

import orjson

from engine.engine import Engine
from engine.index.snapshot import open_snapshot
from engine.schema import Money, Product, Quantity
from engine.settings import Settings, load_settings

BRANDS = ["Alpkit", "Borealis", "岭行", "Cobalt", ""]
KINDS = [("Outdoor", "Jackets"), ("Outdoor", "Tents"), ("户外", "外套"), ("Kitchen", "Kettles")]
WORDS = "waterproof light hiking jacket tent kettle steel plastic 防水 登山 外套 水壶 轻便 不锈钢 塑料 red blue".split()


def random_products(n: int, seed: int = 0) -> list[Product]:
    rng = random.Random(seed)
    out = []
    for i in range(n):
        title = " ".join(rng.sample(WORDS, rng.randint(2, 5)))
        price = Money(rng.randint(100, 50_000), rng.choice(["USD", "CNY"])) if rng.random() < 0.9 else None
        attributes = {
            "color": (rng.choice(["red", "blue", "黑色"]),),
            "weight": (Quantity(round(rng.uniform(0.1, 5), 2), "kg"),),
            "waterproof": (rng.random() < 0.5,),
        }
        out.append(
            Product(
                id=f"P{i:05d}",
                title=title,
                description=" ".join(rng.choices(WORDS, k=rng.randint(0, 12))),
                brand=rng.choice(BRANDS),
                category=rng.choice(KINDS),
                price=price,
                availability=rng.choice(["in_stock", "out_of_stock", ""]),
                mpn=f"{rng.choice(['TR', 'KX'])}-{rng.randint(100, 9999)}{rng.choice(['A', ''])}",
                attributes={k: v for k, v in attributes.items() if rng.random() < 0.8},
            )
        )
    return out


def write_feed(products: list[Product], path: Path) -> Path:
    """Write products as a plain JSON-lines feed."""
    lines = []
    for p in products:
        row: dict[str, object] = {"id": p.id, "title": p.title, "description": p.description, "brand": p.brand}
        row["category"] = " > ".join(p.category)
        row["availability"] = p.availability
        row["mpn"] = p.mpn
        if p.item_group_id:
            row["item_group_id"] = p.item_group_id
        if p.price is not None:
            row["price"] = str(p.price)
        for name, values in p.attributes.items():
            row[name] = str(values[0]) if isinstance(values[0], Quantity) else values[0]
        lines.append(orjson.dumps(row))
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def toy_settings(store: Path, **changes: object) -> Settings:
    return load_settings(store=store, model="hashing", semantic_languages=["en", "zh"], **changes)


def toy_engine(folder: Path, products: list[Product], **changes: object) -> Engine:
    from indexer.reindex import reindex

    settings = toy_settings(folder / "store", **changes)
    reindex(write_feed(products, folder / "feed.jsonl"), settings)
    return Engine.open(settings)


def files_of(store: Path) -> dict[str, bytes]:
    """Every file of the current snapshot but the manifest."""
    root = open_snapshot(store).path
    found = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    manifest = orjson.loads(found.pop("manifest.json"))
    assert set(manifest["files"]) == set(found)
    for name in ("id", "created", "sha256"):
        del manifest[name]
    return {**found, "manifest.json": orjson.dumps(manifest, option=orjson.OPT_SORT_KEYS)}
