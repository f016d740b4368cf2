"""Robustness sets made from a catalogue: answers are every product with the words, the set kept is the one that is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.engine import Engine
from engine.errors import EvaluationError
from engine.language import stem_of, words
from engine.schema import Product
from engine.settings import load_settings
from evals.catalogue import catalogue_set, read_set, write_set
from evals.robustness import FORMS, score_robustness
from indexer.reindex import reindex
from shop import random_products, toy_engine

ROOT = Path(__file__).parents[1]
PRODUCTS = [
    *random_products(80),
    Product("A1", "Alpkit Tall Kettle 500 ml", mpn="AK-500X"), Product("A2", "Alpkit tall kettles, 500 ml"),
    Product("A3", "Alpkit Tall Kettle 900 ml"), Product("Z1", "岭行 保温 水壶 500毫升"),
]  # fmt: skip


def said(title: str) -> set[str]:
    return {stem_of(w) for w in words(title)}


def test_answers_are_every_product_whose_title_has_the_words() -> None:
    made = catalogue_set(PRODUCTS, 200)
    titles = {p.id: said(p.title) for p in PRODUCTS}
    needs = {qid: text for qid, text in made.queries.items() if qid.startswith("n")}
    assert len(needs) > 20
    for qid, text in needs.items():
        assert set(made.qrels[qid]) == {i for i, title in titles.items() if said(text) <= title}
    assert {"A1", "A2"} in [set(r) for r in made.qrels.values()]
    assert set(made.forms) >= {"typo-start", "unit", "script", "code-lower", "code-spaced"}
    for form, changed in made.forms.items():
        assert all(text != made.queries[qid] for qid, text in changed.items()), form
    assert catalogue_set(reversed(PRODUCTS), 200) == made
    assert catalogue_set([*PRODUCTS, Product("A 4", "Alpkit Tall Kettle 500 ml")], 200) == made  # no file can hold its id
    assert catalogue_set(PRODUCTS, 200, seed=1) != made


def test_a_set_is_written_and_read(tmp_path: Path) -> None:
    made = catalogue_set(PRODUCTS, 30)
    write_set(made, tmp_path)
    again = read_set(tmp_path)
    assert (again.queries, again.qrels) == (made.queries, made.qrels)
    assert {f: {q: t.strip() for q, t in c.items()} for f, c in made.forms.items()} == again.forms
    (tmp_path / "queries.order.tsv").write_text("x9\ttent\n")
    with pytest.raises(EvaluationError, match="x9"):
        read_set(tmp_path)
    with pytest.raises(EvaluationError, match="daogou variants"):
        read_set(tmp_path / "nowhere")
    with pytest.raises(EvaluationError):
        catalogue_set([Product("1", "x")], 5)


def test_forms_are_scored_against_the_same_needs(tmp_path: Path) -> None:
    engine = toy_engine(tmp_path, PRODUCTS)
    made = catalogue_set(PRODUCTS, 40)
    report = score_robustness(engine, made.queries, made.qrels, forms=made.forms)
    assert {f.form for f in report.forms} == set(made.forms)
    costs = {f.form: f for f in report.forms}
    for form in ("case", "width", "spaces"):
        assert costs[form].loss == pytest.approx(0, abs=0.02)
    assert not report.condensed


def test_the_set_in_the_repository_is_the_one_the_command_makes(tmp_path: Path) -> None:
    reindex(ROOT / "examples" / "demo" / "catalogue.tsv", load_settings(store=str(tmp_path / "store"), model="hashing"))
    write_set(catalogue_set(Engine.open(load_settings(store=str(tmp_path / "store"))).products(), 200), tmp_path / "set")
    kept = ROOT / "evals" / "sets" / "demo"
    assert {f.name: f.read_text("utf-8") for f in kept.iterdir()} == {f.name: f.read_text("utf-8") for f in (tmp_path / "set").iterdir()}
    assert set(FORMS) <= {f.name.split(".")[1] for f in kept.glob("queries.?*.tsv")}
