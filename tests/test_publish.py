"""Publishing killed at random (``test_durable`` kills at every step): the store always has the old snapshot or the new one, whole."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.errors import GateError, LockedError, SnapshotError
from engine.index.snapshot import _sha256_of_values, current_id, list_snapshots, open_snapshot, read_manifest
from engine.schema import SearchRequest
from indexer.publish import new_id, prune, rollback, writer_lock
from indexer.reindex import reindex
from shop import random_products, toy_settings, write_feed

CHILD = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from indexer.reindex import reindex
from indexer.update import update
from shop import toy_settings
{work}(Path(sys.argv[1]), toy_settings(Path(sys.argv[2]), device="cpu", compact_share=1.0))
"""


def child(feed: Path, store: Path, work: str = "reindex", **env: str) -> subprocess.Popen[bytes]:
    code = CHILD.format(tests=str(Path(__file__).parent), work=work)
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
def test_killed_at_random(tmp_path: Path, feeds: tuple[Path, Path]) -> None:
    """``DAOGOU_KILLS=100`` kills a hundred times: reindexing and updating in turn, at any moment of what they take."""
    store = tmp_path / "store"
    reindex(feeds[0], toy_settings(store))
    took: dict[str, float] = {}
    for work in ("update", "reindex"):
        started = time.monotonic()
        assert child(feeds[1], store, work).wait(120) == 0
        took[work] = time.monotonic() - started
    rng, killed = random.Random(0), 0
    for turn in range(int(os.environ.get("DAOGOU_KILLS", "12"))):
        work = ("reindex", "update")[turn // 2 % 2]
        running = child(feeds[turn % 2], store, work)
        time.sleep(rng.uniform(0.2, 1.0) * took[work])
        running.send_signal(signal.SIGKILL)
        killed += running.wait() == -signal.SIGKILL
        whole(store, {40, 50, 90})
    assert child(feeds[1], store).wait(120) == 0
    whole(store, {50})
    if told := os.environ.get("DAOGOU_KILLS"):
        print(f"{killed} of {told} were killed before they ended")


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
    for pointer in (b"../../etc", b"2026\xff", b"\xff\xfe\x00"):
        (tmp_path / "CURRENT").write_bytes(pointer)
        with pytest.raises(SnapshotError, match="names no snapshot"):
            open_snapshot(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {"../../beside": {"bytes": 2, "sha256": "0" * 64}}}, {"files": {"/etc/passwd": {"bytes": 2, "sha256": "0" * 64}}},
        {"files": {"a/./b": {"bytes": 2, "sha256": "0" * 64}}}, {"files": {"a\0b": {"bytes": 2, "sha256": "0" * 64}}},
        {"files": {"\ud800": {"bytes": 2, "sha256": "0" * 64}}}, {"files": {"a": {"bytes": 2, "sha256": "../../CURRENT"}}},
        {"files": {"a": {}}}, {"files": {"a": 3}}, {"files": ["a"]}, {"files": None}, {"products": "9"}, {"products": -1}, {"delta": 10**6},
        {"dimension": True}, {"model": 7}, {"report": []},
    ],
)  # fmt: skip
def test_a_manifest_that_somebody_else_wrote_is_refused_whatever_its_checksum(tmp_path: Path, changes: dict[str, object]) -> None:
    reindex(write_feed(random_products(9), tmp_path / "f.jsonl"), toy_settings(tmp_path / "store"))
    path = open_snapshot(tmp_path / "store").path / "manifest.json"
    values = {**asdict(read_manifest(path.parent)), **changes}
    path.write_text(json.dumps({**values, "sha256": _sha256_of_values(values)}))
    with pytest.raises(SnapshotError, match="was not written by daogou"):
        open_snapshot(tmp_path / "store")
    path.write_text("[" * 100_000)
    with pytest.raises(SnapshotError, match="cannot be read"):
        open_snapshot(tmp_path / "store")


def test_an_id_is_greater_than_all_before_even_if_the_clock_was_put_back(tmp_path: Path) -> None:
    names: list[str] = []
    for name in ["29990101T000000Z-abcdef", *[""] * 12]:
        names.append(name or new_id(tmp_path, {"a": {"sha256": str(len(names))}}))
        folder = tmp_path / "snapshots" / names[-1]
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
    assert names == sorted(set(names))
    assert all(re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", name) for name in names)


def test_rollback_mends_a_damaged_pointer(tmp_path: Path) -> None:
    store = tmp_path / "store"
    made = [reindex(write_feed(random_products(9 + i), tmp_path / "f.jsonl"), toy_settings(store)).snapshot for i in range(2)]
    (store / "CURRENT").write_text("\x00\x00\x00")
    assert rollback(store) == current_id(store) == made[1]
    (store / "CURRENT").unlink()
    assert rollback(store, made[0]) == current_id(store) == made[0]


def test_rollback_refuses_a_damaged_snapshot_and_other_folders(tmp_path: Path) -> None:
    store = tmp_path / "store"
    made = [reindex(write_feed(random_products(9 + i), tmp_path / "f.jsonl"), toy_settings(store)).snapshot for i in range(3)]
    (store / "snapshots" / made[1] / "prefix" / "keys.txt").write_bytes(b"flipped")
    with pytest.raises(SnapshotError, match=rf"{made[2]} keeps serving.*keys\.txt.*{made[0]}"):
        rollback(store)
    for name in ("../snapshots/" + made[0], "/etc", ".", "CURRENT"):
        with pytest.raises(SnapshotError, match="There is no snapshot at"):
            rollback(store, name)
    assert current_id(store) == made[2]
    assert rollback(store, made[0]) == made[0]


def test_pruning_keeps_what_serves_and_what_served_before(tmp_path: Path) -> None:
    store = tmp_path / "store"
    settings = toy_settings(store, keep_snapshots=5)
    made = [reindex(write_feed(random_products(9 + i), tmp_path / "f.jsonl"), settings).snapshot for i in range(5)]
    rollback(store, made[1])
    prune(store, 2, made[0])
    assert list_snapshots(store) == made[:2]
    prune(store, 1)
    assert list_snapshots(store) == [made[1]] == [current_id(store)]


def test_encoders_no_snapshot_has_are_removed_and_the_others_shared(tmp_path: Path) -> None:
    store, feed = tmp_path / "store", write_feed(random_products(9), tmp_path / "f.jsonl")
    first = toy_settings(store, keep_snapshots=2)
    reindex(feed, first)
    for size, left in ((32, 2), (48, 2)):
        reindex(feed, first.model_copy(update={"model": f"hashing:{size}"}))
        assert len(list((store / "encoders").glob("*/encoder.json"))) == left
    card = open_snapshot(store).file("encoder/encoder.json")
    assert any(card.samefile(shared) for shared in (store / "encoders").glob("*/encoder.json"))


def test_a_pointer_that_cannot_be_moved_leaves_the_old_snapshot_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    first = reindex(write_feed(random_products(9), tmp_path / "f.jsonl"), toy_settings(store)).snapshot

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("indexer.publish.replace_text", full)
    with pytest.raises(GateError, match=r"is full.*Nothing was published\."):
        reindex(write_feed(random_products(12), tmp_path / "f.jsonl"), toy_settings(store))
    assert list_snapshots(store) == [first] == [current_id(store)]


def test_rollback_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="There is no store at"):
        rollback(tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()
