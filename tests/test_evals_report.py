"""The report: its figures are those of the modules that own them, its page is whole, safe and loads nothing."""

import copy
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from engine.engine import Engine
from evals.evalsets import EvalSet
from evals.evaluate import evaluate
from evals.report import gather, page
from evals.report.gather import STEPS
from evals.report.plots import Point, dots
from evals.run import Run, make_run
from shop import random_products, toy_engine

HOSTILE = '<script>alert(1)</script> & "jacket"'


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, EvalSet]:
    engine = toy_engine(tmp_path_factory.mktemp("store"), random_products(60))
    products = list(engine.products())
    queries = {"q1": "waterproof jacket", "q2": "登山 外套", "q3": HOSTILE, "q4": "steel kettle under $300"}
    rated = {
        qid: {p.id: 3 if i % 3 == 0 else 1 if i % 3 == 1 else 0 for i, p in enumerate(products[n :: 3])}
        for n, qid in enumerate(list(queries)[:3])
    }
    return engine, EvalSet("toy <shop>", queries, {"judged": rated | {"q4": {products[0].id: 0}}})


@pytest.fixture(scope="module")
def values(shop: tuple[Engine, EvalSet]) -> dict[str, Any]:
    engine, evalset = shop
    done: list[str] = []
    random_run = Run({qid: tuple(p.id for p in engine.products()) for qid in evalset.queries}, "by id")
    found = gather(engine, evalset, others={"by id": random_run}, hopeless=["saxophone"], advance=done.append)
    assert tuple(done) == STEPS
    return found


def test_figures_are_those_of_their_owners(shop: tuple[Engine, EvalSet], values: dict[str, Any]) -> None:
    engine, evalset = shop
    view = evaluate(make_run(engine, evalset.queries), evalset).view()
    measures = {row["measure"]: row for row in values["retrieval"]["views"][0]["measures"]}
    assert measures["nDCG@10"]["all"]["mean"] == view.result("nDCG@10").all.mean
    assert [row["nDCG@10"] for row in values["per_query"]] == pytest.approx(view.scores.column("nDCG@10"), abs=1e-4)
    assert [row["system"] for row in values["compared"]] == ["words alone", "meaning alone", "by id"]
    assert all(row["p_holm"] >= row["p"] for row in values["compared"])
    assert values["ranking"]["task"] == "ranking"
    assert values["ranking"]["views"][0]["measures"][-1]["all"]["mean"] == 1  # Judged@10
    assert sum(b["share"] for b in values["probabilities"]["bins"]) == pytest.approx(1)
    assert values["nothing_suitable"]["missing"] == 2
    json.dumps(values)


def test_the_page_is_whole_safe_and_loads_nothing(values: dict[str, Any]) -> None:
    html = page(values)
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "toy &lt;shop&gt;" in html
    assert not re.search(r'(?:src|href)="(?!#)', html)
    drawn = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(drawn) == html.count("<figure")
    for svg in drawn:
        ElementTree.fromstring(svg)
    assert page(copy.deepcopy(values)) == html


def test_a_part_that_cannot_be_measured_is_named(shop: tuple[Engine, EvalSet], tmp_path: Path) -> None:
    engine = toy_engine(tmp_path, [p for p in random_products(30) if not p.mpn.startswith("KX")])
    _, evalset = shop
    qrels = {"q1": {p.id: 2 for p in engine.products()}}
    found = gather(engine, EvalSet("all right", {"q1": evalset.queries["q1"]}, {"judged": qrels}))
    assert [part["part"] for part in found["left_out"]] == ["probabilities"]  # nothing to tell relevant products from
    assert "Not measured: probabilities" in page(found)


def test_a_plot_draws_what_it_is_given() -> None:
    svg = dots([Point("a & b", 0.5, 0.4, 0.6, (0.3, 0.9)), Point("手机", 0.1, 0.0, 0.2)], "nDCG")
    assert "a &amp; b" in svg
    assert "手机" in svg
    assert "under $5 \\frac{ $" in dots([Point("under $5 \\frac{ $", 0.5, 0.4, 0.6)], "$")
    assert "var(--accent)" in svg
