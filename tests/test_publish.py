"""Publishing killed at every step and at random: the store always has the old snapshot or the new one, whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.errors import LockedError, SnapshotError
from engine.index.snapshot import current_id, list_snapshots, open_snapshot
from engine.schema import SearchRequest
from indexer.publish import rollback, writer_lock
from indexer.reindex import reindex
from shop import random_products, toy_settings, write_feed

CHILD = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from indexer.reindex import reindex
from shop import toy_settings
reindex(Path(sys.argv[1]), toy_settings(Path(sys.argv[2]), device="cpu"))
"""


def child(feed: Path, store: Path, **env: str) -> subprocess.Popen[bytes]:
    code = CHILD.format(tests=str(Path(__file__).parent))
    root = str(Path(__file__).parent.parent)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(feed), str(store)],
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def whole(store: Path, sizes: set[int]) -> None:
    """The store opens, is one of the complete snapshots, and answers."""
    engine = Engine.open(toy_settings(store))
    assert engine.product_count in sizes
    assert engine.search(SearchRequest(q="", per_page=0)).found == engine.product_count


@pytest.fixture
def feeds(tmp_path: Path) -> tuple[Path, Path]:
    return (
        write_feed(random_products(40), tmp_path / "old.jsonl"),
        write_feed(random_products(50, seed=2), tmp_path / "new.jsonl"),
    )


@pytest.mark.slow
def test_killed_at_every_step(tmp_path: Path, feeds: tuple[Path, Path]) -> None:
    old, new = feeds
    store = tmp_path / "store"
    first = reindex(old, toy_settings(store)).snapshot
    outcomes = set()
    step = 0
    while True:
        step += 1
        ended = child(new, store, DAOGOU_CRASH_AT=str(step))
        code = ended.wait(60)
        whole(store, {40, 50})
        outcomes.add(open_snapshot(store).manifest.products)
        if code == 0:
            break
        assert code == 137, ended.stderr and ended.stderr.read().decode()
        if current_id(store) != first:  # it was published: begin again from the old one
            rollback(store, first)
    assert step > 20
    assert outcomes == {40, 50}


@pytest.mark.slow
def test_killed_at_random(tmp_path: Path, feeds: tuple[Path, Path]) -> None:
    """``DAOGOU_KILLS=100`` kills a hundred times."""
    store = tmp_path / "store"
    reindex(feeds[0], toy_settings(store))
    rng = random.Random(0)
    for turn in range(int(os.environ.get("DAOGOU_KILLS", "12"))):
        running = child(feeds[turn % 2], store)
        time.sleep(rng.uniform(0.3, 2.5))
        running.send_signal(signal.SIGKILL)
        running.wait()
        whole(store, {40, 50})
    assert child(feeds[1], store).wait(60) == 0
    whole(store, {50})


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with writer_lock(tmp_path):
        code = f"from pathlib import Path; from indexer.publish import writer_lock\nwith writer_lock(Path({str(tmp_path)!r})): pass"
        root = str(Path(__file__).parent.parent)
        other = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=False
        )
        assert other.returncode == 1
        assert f"LockedError: Process {os.getpid()} is writing" in other.stderr
    with writer_lock(tmp_path):
        pass


def test_rollback_and_pruning(tmp_path: Path) -> None:
    store = tmp_path / "store"
    settings = toy_settings(store, keep_snapshots=3)
    made = [reindex(write_feed(random_products(20 + i, seed=i), tmp_path / "f.jsonl"), settings).snapshot for i in range(5)]
    assert list_snapshots(store) == made[-3:]
    assert current_id(store) == made[4]
    assert rollback(store) == made[3]
    assert Engine.open(settings).product_count == 23
    assert rollback(store, made[4]) == made[4]
    with pytest.raises(SnapshotError, match="no snapshot at"):
        rollback(store, made[0])
    rollback(store, made[2])
    with pytest.raises(SnapshotError, match="no snapshot to go back to"):
        rollback(store)
    with pytest.raises(LockedError), writer_lock(store), writer_lock(store):
        pass


def test_every_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    store = tmp_path / "store"
    reindex(write_feed(random_products(20), tmp_path / "f.jsonl"), toy_settings(store))
    snapshot = open_snapshot(store)
    for name in snapshot.manifest.files:
        path = snapshot.path / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if content else b"x")
        with pytest.raises(SnapshotError, match=path.name):
            open_snapshot(store)
        path.write_bytes(content)
    open_snapshot(store)


def test_what_killed_writers_left_does_no_harm(tmp_path: Path) -> None:
    store = tmp_path / "store"
    feed = write_feed(random_products(20), tmp_path / "f.jsonl")
    first = reindex(feed, toy_settings(store)).snapshot
    (store / "snapshots" / "building-1.tmp" / "vectors").mkdir(parents=True)
    (store / "snapshots" / "20300101T000000000Z-abcdef").mkdir()
    (store / "CURRENT.tmp").write_text("half")
    whole(store, {20})
    assert current_id(store) == first
    assert reindex(feed, toy_settings(store)).reused == 20
    assert not list(store.rglob("*.tmp"))


def test_the_pointer_must_name_a_snapshot(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="No snapshot was published"):
        open_snapshot(tmp_path)
    (tmp_path / "CURRENT").write_text("../../etc")
    with pytest.raises(SnapshotError, match="names no snapshot"):
        open_snapshot(tmp_path)
