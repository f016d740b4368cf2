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


def daogou(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    code = "from api.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "160", **env}
    return subprocess.run([sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False)


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


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("index", "nowhere.tsv"), 3, "nowhere.tsv"),
        (("search", "tent", "--store", "nowhere"), 6, "daogou index FEED"),
        (("search", "tent", "--filter", "prise:<3"), 2, "Did you mean 'price'"),
        (("search", "tent", "--sort", "price"), 2, "price:asc"),
        (("rollback", "--store", "nowhere-at-all"), 6, "no snapshot"),
        (("eval", "--data", "nowhere"), 8, "nowhere"),
        (("suite", "spelling"), 8, "Known: codes"),
    ],
)
def test_errors_are_sentences_with_exit_codes(store: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = daogou(*arguments, DAOGOU_STORE=str(store), DAOGOU_CONFIG=str(tmp_path / "none.toml"))
    assert done.returncode == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


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
