"""A product taxonomy in both languages as a lexicon: it carries needs across, and takes nothing from what is understood."""

from __future__ import annotations

import csv
import gzip
import random
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.lexicon import Lexicon
from engine.schema import Product, SearchRequest
from evals.understanding import load_sets, score_understanding
from shop import toy_engine

TERMS = Path(__file__).parents[2] / "shared" / "data" / "bilingual" / "product_terms.tsv.gz"
pytestmark = pytest.mark.skipif(not TERMS.exists(), reason="the taxonomy is not beside this checkout")
PRODUCTS = [
    Product("en1", "Large Cat Litter Box with lid"), Product("en2", "Wooden Cheese Board"), Product("en3", "Cat tree"),
    Product("zh1", "大号猫砂盆 带盖"), Product("zh2", "不锈钢水果削皮器"), Product("zh3", "猫爬架"), Product("zh4", "儿童三轮车"),
]  # fmt: skip


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, Engine]:
    own = toy_engine(tmp_path_factory.mktemp("own"), PRODUCTS)
    return own, toy_engine(tmp_path_factory.mktemp("more"), PRODUCTS, lexicons=[str(TERMS)])


@pytest.mark.parametrize("column", ["zh_cn", "zh_tw"])
def test_terms_are_put_into_english(column: str) -> None:
    with gzip.open(TERMS, "rt", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    own, more = Lexicon.own(), Lexicon.own(TERMS)
    for kind in ("categories", "attributes", "values"):
        sample = random.Random(0).sample([row[column] for row in rows if row["kind"] == kind], 200)
        shares = [sum(lexicon.english(text)[1] for text in sample) / len(sample) for lexicon in (own, more)]
        assert shares[0] < 0.5 < 0.9 < shares[1], kind


@pytest.mark.parametrize(("query", "found"), [("cat litter box", "zh1"), ("猫砂盆", "en1"), ("貓砂盆", "en1"), ("tricycle", "zh4")])
def test_needs_cross_the_languages(engines: tuple[Engine, Engine], query: str, found: str) -> None:
    first = [[h.document["id"] for h in engine.search(SearchRequest(q=query)).hits[:3]] for engine in engines]
    assert found in first[1]


def test_what_is_understood_stays_understood(engines: tuple[Engine, Engine]) -> None:
    for labelled in load_sets(None).values():
        own, more = (score_understanding(engine.understand, labelled).to_dict()["kinds"]["all"]["f1"] for engine in engines)
        assert more > own - 0.01
