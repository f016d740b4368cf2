from pathlib import Path

import pytest

from engine.errors import EvaluationError
from evals.evalsets import MACHINE_NOTE, EvalSet, load_evalset, load_qrels, load_queries

ICECAT = Path(__file__).parents[2] / "shared" / "data" / "icecat"


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_queries_keep_order_quotes_and_both_scripts(tmp_path: Path) -> None:
    path = write(tmp_path / "q.tsv", '\ufeffq2\t24" monitor\r\n\nq1\t防水外套 500元以内\n')
    assert list(load_queries(path).items()) == [("q2", '24" monitor'), ("q1", "防水外套 500元以内")]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("q1\tone\nq2 two\n", 2, "one tab"),
        ("q1\tone\nq2\t\n", 2, "one tab"),
        ("q1\tone\n\nq2\ta\tb\n", 3, "one tab"),
        ("q1\tone\nq1\ttwo\n", 2, "line 1"),
        ("q 1\tone\n", 1, "white space"),
        (b"q1\tone\nq2\t\xff\xfe\n", 2, "UTF-8"),
    ],
)
def test_malformed_queries_name_their_line(tmp_path: Path, text: str | bytes, line: int, says: str) -> None:
    with pytest.raises(EvaluationError, match=rf"q\.tsv, line {line}: .*{says}.*\."):
        load_queries(write(tmp_path / "q.tsv", text))


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("q1 0 a 3\nq1 0 b\n", 2, "4 columns"),
        ("q1 0 a 3\nq1 0 b 1 x\n", 2, "4 columns"),
        ("q1 0 a 3\n\nq1 0 b high\n", 3, "whole number"),
        ("q1 0 a 1.5\n", 1, "whole number"),
        ("q1 0 a 3\nq2 0 a 3\nq1 0 a 2\n", 3, "line 1"),
    ],
)
def test_malformed_judgements_name_their_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    with pytest.raises(EvaluationError, match=rf"qrels\.txt, line {line}: .*{says}.*\."):
        load_qrels(write(tmp_path / "qrels.txt", text))


def test_empty_and_missing_files_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="holds no query"):
        load_queries(write(tmp_path / "q.tsv", "\n\n"))
    with pytest.raises(EvaluationError, match="holds no judgement"):
        load_qrels(write(tmp_path / "r.txt", ""))
    with pytest.raises(EvaluationError, match=r"absent\.tsv cannot be read"):
        load_queries(tmp_path / "absent.tsv")
    with pytest.raises(EvaluationError, match="not a folder"):
        load_evalset(tmp_path / "absent")
    with pytest.raises(EvaluationError, match="no evaluation set"):
        load_evalset(tmp_path)


def test_generic_folder_has_named_judgements_and_condensed_views(tmp_path: Path) -> None:
    write(tmp_path / "queries.tsv", "q1\tlamp\nq2\ttent\n")
    write(tmp_path / "qrels.txt", "q1 0 a 3\nq2 0 b 1\n")
    write(tmp_path / "qrels.second.txt", "q1 0 a 2\n")
    write(tmp_path / "qrels.completed.txt", "q1 0 a 2\n")
    views = {view.name: view for view in load_evalset(tmp_path).views()}
    assert next(iter(views)) == "judged"
    assert set(views) == {"judged", "judged-condensed", "second", "second-condensed", "completed"}
    assert views["judged"].qrels == {"q1": {"a": 3}, "q2": {"b": 1}}
    assert views["second"].qrels == {"q1": {"a": 2}}
    assert [name for name, view in views.items() if view.condensed] == ["judged-condensed", "second-condensed"]
    assert [name for name, view in views.items() if MACHINE_NOTE in view.note] == ["completed"]


def test_judgements_of_a_query_without_text_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "queries.tsv", "q1\tlamp\n")
    write(tmp_path / "qrels.txt", "q1 0 a 3\nq9 0 b 1\n")
    with pytest.raises(EvaluationError, match=r"judges 1 queries that .*queries\.tsv does not have, 'q9'"):
        load_evalset(tmp_path)


def test_queries_can_come_from_another_file_with_the_same_ids(tmp_path: Path) -> None:
    write(tmp_path / "queries.tsv", "q1\tlamp\n")
    write(tmp_path / "qrels.txt", "q1 0 a 3\n")
    other = write(tmp_path / "chinese.tsv", "q1\t台灯\n")
    evalset = load_evalset(tmp_path, queries=other)
    assert evalset.queries == {"q1": "台灯"}
    assert evalset.name.endswith(":chinese")


def test_unknown_view_lists_the_known_ones() -> None:
    evalset = EvalSet("s", {"q": "x"}, {"judged": {"q": {"a": 1}}})
    assert evalset.view().name == "judged"
    with pytest.raises(EvaluationError, match=r"no view 'human'.*judged, judged-condensed"):
        evalset.view("human")


@pytest.mark.icecat
def test_icecat_folder_loads() -> None:
    if not ICECAT.is_dir():
        pytest.skip(f"the Icecat development data is not at {ICECAT}")
    evalset = load_evalset(ICECAT)
    views = {view.name: view for view in evalset.views()}
    assert list(views) == ["completed", "human", "human-condensed"]
    assert views["completed"].note == MACHINE_NOTE
    assert len(evalset.queries) == 67
    assert sum(map(len, views["human"].qrels.values())) == 1877
    assert set(views["completed"].qrels) == set(views["human"].qrels) == set(evalset.queries)
    human = {(q, p, r) for q, ratings in views["human"].qrels.items() for p, r in ratings.items()}
    completed = {(q, p, r) for q, ratings in views["completed"].qrels.items() for p, r in ratings.items()}
    assert human < completed
    chinese = load_evalset(ICECAT, queries=ICECAT / "queries.dev.zh.tsv")
    assert set(chinese.queries) == set(evalset.queries)
