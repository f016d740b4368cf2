"""Every form changes a query in the way it says and in no other."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opencc import OpenCC
from rapidfuzz.distance import OSA

from engine.errors import EvaluationError
from engine.units import find_quantities
from evals.robustness import FORMS, score_robustness, variants
from shop import random_products, toy_engine

QUERIES = {
    "1": "laser printer", "2": "无线蓝牙耳机", "3": "bag for a 15.6 inch laptop", "4": "usb", "5": "red running shoes",
    "6": "2TB drive", "7": "batteries", "8": "电脑 保护套 39 cm",
}  # fmt: skip


@pytest.mark.parametrize("form", ["typo-start", "typo-middle", "typo-end"])
@given(seed=st.integers(0, 500))
def test_a_typo_is_one_slip(form: str, seed: int) -> None:
    for qid, text in variants(QUERIES, form, seed).items():
        assert OSA.distance(text, QUERIES[qid]) == 1


def test_width_and_script_fold_back() -> None:
    for qid, text in variants(QUERIES, "width").items():
        assert unicodedata.normalize("NFKC", text) == QUERIES[qid]
    changed = variants(QUERIES, "script")
    assert changed["2"] == "無線藍牙耳機"
    assert all(OpenCC("t2s").convert(text) == QUERIES[qid] for qid, text in changed.items())


def test_units_name_the_same_quantity() -> None:
    changed = variants(QUERIES, "unit")
    assert set(changed) == {"3", "6", "8"}
    for qid, text in changed.items():
        ((_, _, before),) = find_quantities(QUERIES[qid])
        ((_, _, after),) = find_quantities(text)
        assert after.unit == before.unit
        assert after.value == pytest.approx(before.value, rel=0.01)


def test_the_other_forms_keep_the_words() -> None:
    assert variants(QUERIES, "order")["1"] == "printer laser"
    assert variants(QUERIES, "number")["7"] == "battery"
    assert variants(QUERIES, "number")["1"] == "laser printers"
    assert variants(QUERIES, "case")["1"] == "LASER PRINTER"
    assert variants(QUERIES, "spaces")["1"].split() == ["laser", "printer"]


def test_a_set_depends_on_its_seed_alone() -> None:
    for form in FORMS:
        assert variants(QUERIES, form, 3) == variants(dict(reversed(QUERIES.items())), form, 3)
    with pytest.raises(EvaluationError, match="no form"):
        variants(QUERIES, "upside-down")


def test_what_changes_nothing_costs_nothing(tmp_path: Path) -> None:
    products = random_products(80)
    engine = toy_engine(tmp_path, products)
    queries = {"a": "waterproof jacket", "b": "steel kettle"}
    qrels = {"a": {p.id: 3 for p in products if "jacket" in p.title}, "b": {p.id: 3 for p in products if "kettle" in p.title}}
    report = score_robustness(engine, queries, qrels)
    costs = {f.form: f for f in report.forms}
    assert costs["case"].loss == costs["spaces"].loss == costs["width"].loss == 0
    assert costs["typo-middle"].changed > 0.5 * costs["typo-middle"].plain
    assert all(0 <= f.changed <= 1 for f in report.forms)
