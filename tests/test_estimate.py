"""What is said before a reindex, against what the reindex then takes."""

import gzip
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import app
from engine.errors import FeedError
from engine.index.snapshot import open_snapshot
from indexer.estimate import estimate
from indexer.reindex import reindex
from shop import random_products, toy_settings, write_feed


def snapshot_bytes(store: Path) -> int:
    files = open_snapshot(store).manifest.files
    return sum(entry["bytes"] for name, entry in files.items() if not name.startswith("encoder/"))


def test_it_says_what_comes(tmp_path: Path) -> None:
    settings = toy_settings(tmp_path / "store")
    feed = write_feed(random_products(700), tmp_path / "feed.jsonl")
    said = estimate(feed, settings)
    assert not (tmp_path / "store").exists()
    report = reindex(feed, settings)
    assert (said.rows, said.products, said.exact) == (report.rows, report.products, True)
    assert said.disk_bytes == pytest.approx(snapshot_bytes(settings.store), rel=0.1)
    assert said.index == open_snapshot(settings.store).manifest.report["vectors"]["index"]
    assert said.working_bytes > said.disk_bytes
    assert said.fits


@pytest.mark.parametrize("packed", [False, True])
def test_a_long_feed_is_judged_by_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    monkeypatch.setattr("indexer.estimate._READ", 1_500)
    monkeypatch.setattr("indexer.estimate._SAMPLE", 300)
    settings = toy_settings(tmp_path / "store")
    feed = write_feed(random_products(40_000), tmp_path / "feed.jsonl")
    if packed:
        feed = Path(f"{feed}.gz")
        feed.write_bytes(gzip.compress((tmp_path / "feed.jsonl").read_bytes()))
    said = estimate(feed, settings)
    assert not said.exact
    assert said.products == pytest.approx(40_000, rel=0.25)
    assert said.index.startswith("PQ")


def test_rejected_rows_are_counted(tmp_path: Path) -> None:
    lines = write_feed(random_products(100), tmp_path / "feed.jsonl").read_text().splitlines()
    (tmp_path / "feed.jsonl").write_text("\n".join(lines + ['{"id": "", "title": "nameless"}'] * 100))
    said = estimate(tmp_path / "feed.jsonl", toy_settings(tmp_path / "store"))
    assert (said.rows, said.products, said.rejected) == (200, 100, 0.5)
    (tmp_path / "none.jsonl").write_text('{"id": "", "title": "nameless"}\n' * 9)
    with pytest.raises(FeedError, match="None of 9 rows"):
        estimate(tmp_path / "none.jsonl", toy_settings(tmp_path / "store"))


def test_the_command_prints_lines_or_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = write_feed(random_products(60), tmp_path / "feed.jsonl")
    arguments = ["estimate", str(feed), "--store", str(tmp_path / "store"), "--model", "hashing"]
    lines = CliRunner().invoke(app, arguments).stdout
    assert "60 of 60 rows" in lines
    assert "at most 1,024 MB (index_memory_mb)" in lines
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert told["products"] == 60
    assert told["fits"] is True
