"""Public collections become feeds and evaluation sets; small files of the form their owners publish."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import EvaluationError
from evals.adapters import ESCI_RATINGS, convert
from evals.evalsets import load_evalset
from evals.measures import score_queries


def products(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "feed.jsonl").read_text("utf-8").splitlines()]


def test_wands(tmp_path: Path) -> None:
    (tmp_path / "query.csv").write_text("query_id\tquery\tquery_class\n0\tsalon chair\tMassage Chairs\n1\tsmart coffee table\tTables\n")
    (tmp_path / "product.csv").write_text(
        "product_id\tproduct_name\tproduct_class\tcategory hierarchy\tproduct_description\tproduct_features\t"
        "rating_count\taverage_rating\treview_count\n"
        "5\tsolid wood bed\tBeds\tFurniture / Bedroom / Beds\tgood , deep sleep\tcolor:brown|overallwidth-sidetoside:64.7\t15\t4.5\t15\n"
        "7\tsalon chair\tChairs\tFurniture / Chairs\t\t\t1\t5\t1\n"
    )
    (tmp_path / "label.csv").write_text(
        "id\tquery_id\tproduct_id\tlabel\n0\t0\t7\tExact\n1\t0\t5\tIrrelevant\n2\t0\t5\tExact\n3\t0\t9\tNoise\n"
    )
    found = convert("wands", tmp_path, tmp_path / "out")
    assert found.to_dict()["skipped"] == {"pair judged twice": 1, "unknown label": 1, "query without a judgement": 1}
    evalset = load_evalset(tmp_path / "out")
    assert evalset.queries == {"0": "salon chair"}
    assert evalset.view().qrels == {"0": {"7": 2, "5": 0}}
    assert products(tmp_path / "out")[0]["product_type"] == "Furniture > Bedroom > Beds"
    assert products(tmp_path / "out")[0]["color"] == "brown"


def esci(folder: Path) -> Path:
    rows = [(1, "us", "A", "E"), (1, "us", "B", "S"), (1, "us", "C", "C"), (1, "us", "D", "I"), (2, "jp", "A", "E")]
    pq.write_table(
        pa.table(
            {
                "query_id": [r[0] for r in rows], "query": ["usb fan"] * 5, "product_locale": [r[1] for r in rows],
                "product_id": [r[2] for r in rows], "esci_label": [r[3] for r in rows],
            }
        ),
        folder / "shopping_queries_dataset_examples.parquet",
    )  # fmt: skip
    pq.write_table(
        pa.table(
            {
                "product_id": ["A", "B"], "product_locale": ["us", "us"], "product_title": ["Fan", "Lamp"],
                "product_description": ["cools", None], "product_bullet_point": [None, "bright"],
                "product_brand": ["X", None], "product_color": ["red", None],
            }
        ),
        folder / "shopping_queries_dataset_products.parquet",
    )  # fmt: skip
    return folder


def test_esci_keeps_one_locale(tmp_path: Path) -> None:
    found = convert("esci", esci(tmp_path), tmp_path / "out")
    assert found.qrels == {"1": {"A": 100, "B": 10, "C": 1, "D": 0}}
    assert [p["title"] for p in products(tmp_path / "out")] == ["Fan", "Lamp"]


def test_esci_gains_are_those_of_the_paper_and_not_those_of_the_published_scorer(tmp_path: Path) -> None:
    assert {k: v / 100 for k, v in ESCI_RATINGS.items()} == {"E": 1.0, "S": 0.1, "C": 0.01, "I": 0.0}
    qrels = convert("esci", esci(tmp_path), tmp_path / "out").qrels
    substitute = score_queries({"1": ("B", "C")}, qrels, min_rel=100)
    complement = score_queries({"1": ("C", "B")}, qrels, min_rel=100)
    column = [m.name for m in substitute.measures].index("nDCG@10")
    assert substitute.values[0, column] > complement.values[0, column]  # fails if S and C are swapped


def test_multi_cpr(tmp_path: Path) -> None:
    (tmp_path / "corpus.tsv").write_text("1\t无线蓝牙耳机\n2\t保温杯\n", "utf-8")
    (tmp_path / "dev.query.txt").write_text("200\t蓝牙耳机\n", "utf-8")
    (tmp_path / "qrels.dev.tsv").write_text("200\t0\t1\t1\n", "utf-8")
    found = convert("multi-cpr", tmp_path, tmp_path / "out")
    assert (found.products, found.qrels) == (2, {"200": {"1": 1}})


def test_home_depot(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(
        '"id","product_uid","product_title","search_term","relevance"\n2,100001,"Angle Bracket","angle bracket",3\n'
        '3,100001,"Angle Bracket","l bracket",2.5\n9,100002,"Wood Stain","deck over",1\n'
    )
    (tmp_path / "product_descriptions.csv").write_text('"product_uid","product_description"\n100001,"Strong, simple"\n')
    found = convert("home-depot", tmp_path, tmp_path / "out")
    assert found.queries == {"h1": "angle bracket", "h2": "l bracket", "h3": "deck over"}
    assert found.qrels == {"h1": {"100001": 3}, "h2": {"100001": 2}, "h3": {"100002": 0}}
    assert products(tmp_path / "out")[0]["description"] == "Strong, simple"


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no adapter"):
        convert("trec", tmp_path, tmp_path / "out")
    with pytest.raises(EvaluationError, match="cannot be read"):
        convert("wands", tmp_path, tmp_path / "out")
    (tmp_path / "query.csv").write_text("a,b\n")
    with pytest.raises(EvaluationError, match="no column 'query_id'"):
        convert("wands", tmp_path, tmp_path / "out")
