"""Public collections become feeds and evaluation sets; small files of the form their owners publish."""

import gzip
import json
from pathlib import Path

import orjson
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


@pytest.mark.parametrize("gzipped", [False, True])
def test_a_file_of_judged_pairs_is_a_feed_and_a_set(tmp_path: Path, gzipped: bool) -> None:
    lines = [
        '"id","product_uid","product_title","search_term","relevance"',
        '2,100001,"Angle bracket, steel",angle bracket,3.00',
        "3,100001,Angle bracket steel,l bracket,2.5",
        "4,100 002,Deck stain,deck over,1",
        "5,,A thing without a number,l bracket,1.67",
        "6,100003,No grade,l bracket,",
    ]
    path = tmp_path / ("pairs.csv.gz" if gzipped else "pairs.csv")
    (gzip.open if gzipped else open)(path, "wt").write("\n".join(lines))
    found = convert("pairs", path, tmp_path / "out")
    by_text = {found.queries[qid]: rated for qid, rated in found.qrels.items()}
    assert by_text["angle bracket"] == {"100001": 3}
    assert by_text["deck over"] == {"100-002": 0}
    assert sorted(by_text["l bracket"].values()) == [1, 2]
    assert found.products == 3
    assert found.skipped == {"pair without a query, a title or a grade": 1}
    feed = [orjson.loads(line) for line in (tmp_path / "out" / "feed.jsonl").read_bytes().splitlines()]
    assert feed[0] == {"id": "100001", "title": "Angle bracket, steel"}
    assert set(load_evalset(tmp_path / "out").queries.values()) == set(by_text)


def test_pairs_without_a_needed_column_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("query\ttitle\nlamp\tLamp\n")
    with pytest.raises(EvaluationError, match="column for the grade"):
        convert("pairs", path, tmp_path / "out")
    path.write_text("query\ttitle\tgrade\nlamp\t\t3\n")
    with pytest.raises(EvaluationError, match="no line with"):
        convert("pairs", path, tmp_path / "out")
    with pytest.raises(EvaluationError, match="cannot be read"):
        convert("pairs", tmp_path / "none.csv", tmp_path / "out")
