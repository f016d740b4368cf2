"""The command line as a shop's engineer uses it: real processes, a real small store."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shop import random_products, write_feed

ROOT = Path(__file__).parent.parent


def daogou(*arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    code = "from api.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "160", **env}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    feed = write_feed(random_products(60), folder / "feed.jsonl")
    done = daogou("index", str(feed), "--store", str(folder / "store"), "--model", "hashing")
    assert done.returncode == 0, done.stderr
    assert "Recognised as jsonl" in done.stdout
    assert re.search(r"60 rows, 60 products, 0 rejected", done.stdout)
    assert "Published" in done.stdout
    return folder / "store"


def test_json_goes_to_stdout_alone(store: Path, tmp_path: Path) -> None:
    feed = write_feed(random_products(61), tmp_path / "feed.jsonl")
    done = daogou("index", str(feed), "--store", str(store), "--model", "hashing", "--json")
    report = json.loads(done.stdout)
    assert report["products"] == 61
    assert report["reused"] == 60


def test_search_shows_what_was_understood(store: Path) -> None:
    done = daogou("search", "waterproof jacket under $400", "--store", str(store), "--explain", "--facets", "brand")
    assert done.returncode == 0, done.stderr
    assert "under $400  →  price:<=400USD" in done.stdout
    assert "found in" in done.stdout
    assert "brand:" in done.stdout
    assert json.loads(daogou("search", "tent", "--store", str(store), "--json").stdout)["hits"]
    slip = daogou("search", "waterprof jacket", "--store", str(store))
    assert "waterprof  →  waterproof" in slip.stdout
    assert "corrected" not in daogou("search", "waterprof jacket", "--no-correct", "--store", str(store)).stdout
    nothing = daogou("search", "zzqqxy", "--store", str(store))
    assert "Nothing suitable." in nothing.stdout


def test_tuning_and_calibrating_say_what_they_found(store: Path, tmp_path: Path) -> None:
    ids = json.loads(daogou("search", "jacket", "--store", str(store), "--per-page", "8", "--json").stdout)["hits"]
    rated = [hit["document"]["id"] for hit in ids]
    texts = ["jacket", "tent", "kettle", "steel", "red", "blue", "waterproof", "hiking", "light", "plastic"]
    (tmp_path / "queries.tsv").write_text("".join(f"q{i}\t{text}\n" for i, text in enumerate(texts)))
    (tmp_path / "qrels.txt").write_text("".join(f"q{i} 0 {p} {(i + n) % 4}\n" for i in range(10) for n, p in enumerate(rated)))
    out = tmp_path / "tuned.toml"
    tuned = json.loads(daogou("tune", "--data", str(tmp_path), "--store", str(store), "--out", str(out), "--json").stdout)
    assert set(tuned) >= {"settings", "before", "after", "p", "kept"}
    assert out.exists() == tuned["kept"]
    done = daogou("calibrate", "--data", str(tmp_path), "--store", str(store), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "calibration error" in done.stdout
    assert out.read_text().startswith("calibration = [")
    robust = daogou("suite", "robustness", "--data", str(tmp_path), "--store", str(store), "--json")
    assert "typo-middle" in json.loads(robust.stdout)["forms"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("index", "nowhere.tsv"), 3, "nowhere.tsv"),
        (("search", "tent", "--store", "nowhere"), 6, "daogou index FEED"),
        (("search", "tent", "--filter", "prise:<3"), 2, "Did you mean 'price'"),
        (("search", "tent", "--sort", "price"), 2, "price:asc"),
        (("rollback", "--store", "nowhere-at-all"), 6, "no snapshot"),
        (("eval", "--data", "nowhere"), 8, "nowhere"),
        (("suite", "manners"), 8, "Known: codes"),
    ],
)
def test_errors_are_sentences_with_exit_codes(store: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = daogou(*arguments, cwd=tmp_path, DAOGOU_STORE=str(store), DAOGOU_CONFIG=str(tmp_path / "none.toml"))
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_bad_setting_is_named() -> None:
    done = daogou("doctor", DAOGOU_ALPHA="2")
    assert done.returncode == 2
    assert "alpha" in done.stderr


def test_doctor_names_sources_and_hides_the_key(store: Path) -> None:
    done = daogou("doctor", "--store", str(store), DAOGOU_DEPTH="77", DAOGOU_GENERATOR_KEY="very-secret")
    assert re.search(r"depth +77 +environment", done.stdout)
    assert re.search(r"store .* argument", done.stdout)
    assert "very-secret" not in done.stdout
    assert "every file verified" in done.stdout


def test_runs_are_written_scored_and_compared(store: Path, tmp_path: Path) -> None:
    (tmp_path / "queries.tsv").write_text("q1\twaterproof jacket\nq2\t外套\n", "utf-8")
    (tmp_path / "qrels.txt").write_text("q1 0 P00001 3\nq1 0 P00002 0\nq2 0 P00003 2\n")
    made = daogou("run", str(tmp_path / "queries.tsv"), "--out", str(tmp_path / "a.run"), "--store", str(store))
    assert made.returncode == 0, made.stderr
    scored = daogou("eval", "--data", str(tmp_path), "--run", str(tmp_path / "a.run"), "--json")
    assert scored.returncode == 0, scored.stderr
    json.loads(scored.stdout)
    same = daogou("compare", str(tmp_path / "a.run"), str(tmp_path / "a.run"), "--data", str(tmp_path), "--json")
    assert same.returncode == 0, same.stderr


def test_help_lists_commands_and_exit_codes() -> None:
    text = daogou("--help").stdout
    for word in ("index", "search", "serve", "eval", "compare", "rollback", "doctor", "Exit codes"):
        assert word in text


def test_rejected_rows_are_shown_with_line_and_reason(tmp_path: Path) -> None:
    feed = tmp_path / "feed.tsv"
    feed.write_text("id\ttitle\tprice\nA1\tRed tent\t10.00 USD\nA2\t\t5.00 USD\nA3\tBlue [bold]tent[/bold]\t7.00 USD\n", "utf-8")
    done = daogou("index", str(feed), "--store", str(tmp_path / "s"), "--model", "hashing", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "3 rows, 2 products, 1 rejected" in done.stdout
    assert re.search(r"line 3, A2: .*title", done.stdout)
    assert (tmp_path / "s" / "rejects").is_dir()
    assert done.stderr == ""
    shown = daogou("search", "blue tent", "--store", str(tmp_path / "s"))
    assert re.search(r"7\.00 USD", shown.stdout)
    again = daogou("index", str(feed), "--store", str(tmp_path / "s"), "--model", "hashing", "--quiet")
    assert "Nothing changed" in again.stdout


def test_snapshots_are_listed_and_gone_back_to(tmp_path: Path) -> None:
    made: list[str] = []
    for n in (20, 22):
        feed = write_feed(random_products(n), tmp_path / "feed.jsonl")
        done = daogou("index", str(feed), "--store", str(tmp_path / "s"), "--model", "hashing", "--quiet", "--json")
        made.append(json.loads(done.stdout)["snapshot"])
    listed = json.loads(daogou("snapshots", "--store", str(tmp_path / "s"), "--json").stdout)
    assert [(row["id"], row["products"], row["current"]) for row in listed] == [(made[0], 20, False), (made[1], 22, True)]
    back = daogou("rollback", "--store", str(tmp_path / "s"))
    assert back.returncode == 0, back.stderr
    assert made[0] in back.stdout
    assert f"→ {made[0]}" in daogou("snapshots", "--store", str(tmp_path / "s")).stdout
    assert daogou("rollback", "--store", str(tmp_path / "s"), "--to", "never-made").returncode == 6

    (tmp_path / "s" / "CURRENT").write_text("../../etc")
    assert "daogou rollback" in daogou("search", "tent", "--store", str(tmp_path / "s")).stderr
    assert made[1] in daogou("snapshots", "--store", str(tmp_path / "s")).stdout
    mended = daogou("rollback", "--store", str(tmp_path / "s"))
    assert mended.returncode == 0, mended.stderr
    assert f"Serving {made[1]} again, instead of nothing." in mended.stdout


def test_explanations_are_in_the_json_too(store: Path) -> None:
    done = daogou("search", "waterproof jacket", "--store", str(store), "--json", "--explain", "--per-page", "2")
    answer = json.loads(done.stdout)
    assert answer["claims"]
    assert {claim["product_id"] for claim in answer["claims"]} <= {hit["document"]["id"] for hit in answer["hits"]}
    assert all(claim["citations"] for claim in answer["claims"])


def test_an_endless_query_is_a_sentence(store: Path) -> None:
    done = daogou("search", "tent " * 400, "--store", str(store))
    assert done.returncode == 2
    assert "512 characters" in done.stderr
    assert "Traceback" not in done.stderr


def run_failing(error: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``daogou doctor`` with the opening of the store replaced by an error."""
    code = (
        "import api.cli.doctor as d\n"
        f"def fail(*_): raise {error}\n"
        "d.open_snapshot = fail\n"
        "from api.cli import main; main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    command = [sys.executable, "-c", code, *arguments, "doctor"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        ("ZeroDivisionError('by [red]zero')", 1, "mistake in it: ZeroDivisionError: by [red]zero"),
        ("PermissionError(13, 'Permission denied', 'CURRENT')", 1, "The system refused: Permission denied (CURRENT)."),
        ("KeyboardInterrupt()", 130, "Interrupted."),
    ],
)
def test_what_nobody_expected_is_a_sentence_too(error: str, code: int, sentence: str) -> None:
    done = run_failing(error)
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_where_it_happened() -> None:
    done = run_failing("ZeroDivisionError('by zero')", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "open_snapshot" in done.stderr


def test_eval_says_what_it_searched_and_keeps_to_the_view(store: Path, tmp_path: Path) -> None:
    (tmp_path / "queries.tsv").write_text("q1\twaterproof jacket\n", "utf-8")
    (tmp_path / "qrels.txt").write_text("q1 0 P00001 3\n")
    done = daogou("eval", "--data", str(tmp_path), "--store", str(store), "--view", "judged", "--json")
    assert done.returncode == 0, done.stderr
    assert re.search(r"Searching snapshot \S+: 6\d products, hashing", done.stderr)
    assert "judged-condensed" not in done.stdout
    wrong = daogou("eval", "--data", str(tmp_path), "--store", str(store), "--view", "sideways")
    assert wrong.returncode == 8
    assert "judged-condensed" in wrong.stderr
