"""Killed before every single step of publishing, the store has the old snapshot or the new one, and goes on."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.index.snapshot import current_id, list_snapshots, open_snapshot
from indexer import durable
from indexer.reindex import reindex
from shop import random_products, toy_settings, write_feed

# Imports once, then forks for every reindex: starting an interpreter for each step would take minutes.
WORKER = """
import os, sys
from pathlib import Path
from indexer.reindex import reindex
from engine.settings import load_settings
for line in sys.stdin:
    step, feed, store = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        os.environ["DAOGOU_CRASH_AT"] = step
        try:
            reindex(Path(feed), load_settings(store=store, model="hashing:32", device="cpu", keep_snapshots=2))
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
Reindex = Callable[[int, Path, Path], int]


@pytest.fixture
def crashing() -> Iterator[Reindex]:
    """A function that reindexes in another process, which dies before the given step, and returns its exit code."""
    root = str(Path(__file__).parent.parent)
    with subprocess.Popen(
        [sys.executable, "-c", WORKER],
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        stdin, stdout = worker.stdin, worker.stdout

        def run(step: int, feed: Path, store: Path) -> int:
            stdin.write(f"{step}\t{feed}\t{store}\n")
            stdin.flush()
            return int(stdout.readline())

        yield run
        stdin.close()


def content(store: Path) -> dict[str, object]:
    return dict(open_snapshot(store).manifest.files)


@pytest.mark.slow
def test_killed_before_every_step_of_a_reindex(tmp_path: Path, crashing: Reindex) -> None:
    old, new = (write_feed(random_products(n, seed=n), tmp_path / f"{n}.jsonl") for n in (12, 14))
    base, after = tmp_path / "base", tmp_path / "after"
    # Three snapshots published with two kept, so that removing one is among the steps.
    for feed in (write_feed(random_products(13), tmp_path / "13.jsonl"), old):
        assert crashing(0, feed, base) == 0
    shutil.copytree(base, after)
    assert crashing(0, new, after) == 0
    before_files, after_files = content(base), content(after)
    served = set()
    for step in range(1, 500):
        store = tmp_path / f"step{step}"
        shutil.copytree(base, store)
        code = crashing(step, new, store)
        assert code in (0, 137)
        found = content(store)
        assert found in (before_files, after_files)
        served.add(found == after_files)
        if code == 0:
            break
        assert crashing(0, new, store) == 0
        assert content(store) == after_files
        assert len(list_snapshots(store)) <= 2
        assert not list(store.rglob("*.tmp"))
        assert {p.name for p in (store / "snapshots").iterdir()} == set(list_snapshots(store))
        shutil.rmtree(store)
    assert code == 0
    assert step > 30
    assert served == {False, True}


@pytest.mark.slow
def test_killed_before_every_step_of_the_first_index(tmp_path: Path, crashing: Reindex) -> None:
    feed = write_feed(random_products(5), tmp_path / "feed.jsonl")
    for step in range(1, 500):
        store = tmp_path / f"step{step}"
        code = crashing(step, feed, store)
        if current_id(store):
            assert open_snapshot(store).manifest.products == 5
        if code == 0:
            break
        assert code == 137
        assert crashing(0, feed, store) == 0
        assert open_snapshot(store).manifest.products == 5
    assert step > 25


def test_files_are_synced_before_names_and_the_pointer_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Record every fsync and rename of the second index, and check their order."""
    store = tmp_path / "store"
    reindex(write_feed(random_products(9), tmp_path / "a.jsonl"), toy_settings(store))
    log: list[tuple[str, str]] = []
    fsync, rename, replace = os.fsync, Path.rename, Path.replace

    def spy_fsync(handle: int) -> None:
        log.append(("fsync", os.readlink(f"/proc/self/fd/{handle}")))
        fsync(handle)

    def spy_move(move: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def moved(self: Path, target: Path) -> Path:
            log.append(("move", str(target)))
            return move(self, target)

        return moved

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "rename", spy_move(rename))
    monkeypatch.setattr(Path, "replace", spy_move(replace))
    snapshot = reindex(write_feed(random_products(11), tmp_path / "b.jsonl"), toy_settings(store)).snapshot

    work = str(store / f"work-{os.getpid()}.tmp" / "snapshots" / "building")
    named = log.index(("move", str(store / "snapshots" / snapshot)))
    manifest = log.index(("fsync", f"{work}/manifest.json"))
    for name in open_snapshot(store).manifest.files:
        assert log.index(("fsync", f"{work}/{name}")) < manifest
    assert ("fsync", work) in log[manifest:named]
    pointed = log.index(("move", str(store / "CURRENT")))
    assert ("fsync", str(store / "snapshots")) in log[named:pointed]
    assert ("fsync", str(store / "CURRENT.tmp")) in log[named:pointed]
    assert ("fsync", str(store)) in log[pointed:]


def test_published_files_are_readable_by_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        reindex(write_feed(random_products(9), tmp_path / "a.jsonl"), toy_settings(tmp_path / "store"))
    finally:
        os.umask(before)
    snapshot = open_snapshot(tmp_path / "store").path
    for path in [snapshot, *snapshot.rglob("*"), tmp_path / "store" / "CURRENT"]:
        wanted = 0o755 if path.is_dir() else 0o644
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_links_fall_back_to_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"weights")
    durable.link_or_copy(tmp_path / "a", tmp_path / "linked" / "a")
    assert (tmp_path / "linked" / "a").samefile(tmp_path / "a")

    def refuse(*_: object) -> None:
        raise OSError("cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    durable.link_or_copy(tmp_path / "a", tmp_path / "copied" / "a")
    assert not (tmp_path / "copied" / "a").samefile(tmp_path / "a")
    assert (tmp_path / "copied" / "a").read_bytes() == b"weights"
