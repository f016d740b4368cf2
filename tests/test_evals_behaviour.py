"""Suites of behaviour: what counts as an accessory and as a false correction, against shops that do both."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from engine.engine import Engine
from engine.errors import EvaluationError
from engine.schema import Product
from evals import accessories, spelling
from shop import random_products, toy_engine

DEVICES = [
    Product(f"L{i}", f"Acme {i} Laptop 15 inch", category=("Computers", "Laptops")) for i in range(6)
] + [Product(f"B{i}", f"Borealis {i} Laptop Bag", category=("Computers", "Laptop Bags")) for i in range(30)]  # fmt: skip


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return toy_engine(tmp_path_factory.mktemp("store"), DEVICES)


@pytest.mark.parametrize(
    ("category", "title", "accessory"),
    [
        ("", "Acme Laptop Bag 15 inch", True), ("", "Acme Laptop with bag", False), ("Printers & Toner", "Acme 500 Printer", False), ("打印机与耗材", "墨舟 硒鼓粉盒", True),
        ("", "Acme 500 printer, toner included", False), ("手机壳", "透明", True), ("", "星屿 手机", False), ("", "Acme Desktop PC", False),
    ],
)  # fmt: skip
def test_accessories_are_told_by_their_words(category: str, title: str, accessory: bool) -> None:
    assert accessories.is_accessory_title(category, title) == accessory


def test_a_shop_that_shows_bags_for_laptops_is_seen_to(engine: Engine) -> None:
    class Bags:
        def search(self, request):  # type: ignore[no-untyped-def]
            return engine.search(request.model_copy(update={"q": "laptop bag"}))

    good, bad = accessories.score_accessories(engine), accessories.score_accessories(Bags())
    assert bad.share.mean == 1
    assert good.share.mean < 0.5
    assert "printer" in good.missing
    console = Console(file=io.StringIO(), width=100)
    accessories.render(good, console)
    assert "device queries are accessories" in console.file.getvalue()  # type: ignore[attr-defined]


def test_slips_are_mended_and_words_left_alone(engine: Engine) -> None:
    report = spelling.score_spelling(engine, engine.products(), 20)
    assert report.mended["middle"].mean > 0.5
    assert report.false["title words"].mean == 0
    assert report.false["needs of other shops"].n > 30

    class Off:
        def search(self, request):  # type: ignore[no-untyped-def]
            return engine.search(request.model_copy(update={"correct": False}))

    off = spelling.score_spelling(Off(), engine.products(), 20)
    assert all(e.mean == 0 for e in (*off.mended.values(), *off.false.values()))


def test_a_shop_without_words_or_devices_is_told(tmp_path: Path) -> None:
    engine = toy_engine(tmp_path, [Product("1", "红茶", category=("茶",)), *random_products(3)])
    with pytest.raises(EvaluationError, match="slip"):
        spelling.score_spelling(engine, [Product("1", "红茶")])
