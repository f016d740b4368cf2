"""Judgements of Quepid and OpenSearch come in and go out; small files of the form these tools write."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EvaluationError
from evals.evalsets import load_evalset
from evals.exchange import FORMATS, read_judgements, write_judgements

ids = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=0x4E20, blacklist_categories=["Z", "C"]), min_size=1, max_size=8)
texts = st.text(max_size=20).map(lambda t: " ".join(t.split())).filter(bool).filter(lambda t: t.isprintable())
judged = st.dictionaries(texts, st.dictionaries(ids, st.integers(0, 3), min_size=1, max_size=4), min_size=1, max_size=5)


@pytest.mark.parametrize("kind", FORMATS)
@given(rated=judged)
def test_what_goes_out_comes_back(kind: str, tmp_path_factory: pytest.TempPathFactory, rated: dict[str, dict[str, int]]) -> None:
    queries = {f"q{n}": text for n, text in enumerate(rated, 1)}
    qrels = {qid: rated[text] for qid, text in queries.items()}
    *_, file = write_judgements(kind, queries, qrels, tmp_path_factory.mktemp("out"))
    found = read_judgements(kind, file)
    assert {found.queries[qid]: dict(r) for qid, r in found.qrels.items()} == rated
    assert not found.skipped
    assert found.scale == 1


def test_quepid_files_as_it_exports_them(tmp_path: Path) -> None:
    file = tmp_path / "case.csv"
    file.write_text("query,docid,rating\nstar wars,11,3\nstar wars,12,0\nnobody rated this\n\" =1+1\",13,2\n,14,1\nx,y z,1\nx,y,good\n", "utf-8")
    found = read_judgements("quepid", file)
    assert found.qrels == {"q1": {"11": 3, "12": 0}, "q3": {"13": 2}}
    assert found.queries["q3"] == "=1+1"
    found.write(tmp_path / "set")
    assert found.to_dict()["skipped"] == {
        "row without a query": 1, "product id with white space": 1, "rating is no number": 1, "query without a judgement": 2,
    }  # fmt: skip
    assert load_evalset(tmp_path / "set").queries == {"q1": "star wars", "q3": "=1+1"}


def test_a_query_never_becomes_a_formula_of_a_spreadsheet(tmp_path: Path) -> None:
    queries = {"1": '=HYPERLINK("http://example.com")', "2": "+1", "3": "-1", "4": "@x", "5": "tent"}
    (file,) = write_judgements("quepid", queries, {}, tmp_path)
    cells = [row[0] for row in csv.reader(file.open(encoding="utf-8"))][1:]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    assert list(read_judgements("quepid", file).queries.values()) == list(queries.values())


def test_opensearch_files_as_its_api_takes_and_returns_them(tmp_path: Path) -> None:
    ratings = [{"query": "red dress", "ratings": [{"docId": "B07", "rating": "0.000"}, {"docId": "B08", "rating": 0.75}]}]
    file = tmp_path / "judgments.json"
    file.write_text(json.dumps({"hits": {"hits": [{"_source": {"judgmentRatings": ratings}}]}}))
    found = read_judgements("opensearch", file)
    assert (found.queries, found.qrels, found.scale) == ({"q1": "red dress"}, {"q1": {"B07": 0, "B08": 75}}, 100)
    query_set, judgments = write_judgements("opensearch", {"a": "led tv"}, {"a": {"x": 2}}, tmp_path, "mine")
    assert json.loads(query_set.read_text())["querySetQueries"] == [{"queryText": "led tv"}]
    body = json.loads(judgments.read_text())
    assert (body["type"], body["name"]) == ("IMPORT_JUDGMENT", "mine")
    assert body["judgmentRatings"] == [{"query": "led tv", "ratings": [{"docId": "x", "rating": "2.000"}]}]
    assert list(read_judgements("opensearch", query_set).queries.values()) == ["led tv"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [("quepid", "a,b\n1,2\n"), ("quepid", ""), ("quepid", "query,docid,rating\n"), ("opensearch", "{"), ("opensearch", "[]"),
     ("opensearch", "[" * 100_000), ("opensearch", '{"judgmentRatings": 3}'), ("trec", "x")],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_a_sentence(kind: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(EvaluationError):
        read_judgements(kind, tmp_path / "file")
