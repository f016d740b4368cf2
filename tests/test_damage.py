"""Whatever happened to the files of a store, it is refused by name or serves whole, and the next run mends it."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from crashing.scene import clicks, feed, orders, products_of, settings_of, whose
from engine.errors import DaogouError, EventLogError, SnapshotError
from engine.events import EventLog
from engine.index.snapshot import current_id, list_snapshots, open_snapshot
from indexer.reindex import reindex
from indexer.update import update


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two snapshots and events of two months."""
    store = tmp_path_factory.mktemp("made") / "store"
    reindex(feed(store, "old"), settings_of(store))
    with closing(EventLog.open(settings_of(store))) as log:
        log.add([*orders(), *clicks(0)], lambda product: True)
    reindex(feed(store, "new"), settings_of(store))
    return store


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "store")


def flipped(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def files_of(store: Path) -> list[Path]:
    return sorted(p for p in store.rglob("*") if p.is_file() and p.stat().st_size)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [flipped, cut])
def test_a_damaged_store_serves_whole_or_not_and_is_mended_by_the_next_run(
    store: Path, tmp_path: Path, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    rng, refused = random.Random(damage.__name__), 0
    for path in (p for p in files_of(store) if "events" not in p.parts):
        before = path.read_bytes()
        path.write_bytes(damage(before, rng))
        try:
            assert products_of(store) == 50
        except DaogouError as error:
            refused += 1
            assert path.name in str(error) or path.parent.name in str(error), error
        if rng.random() < 0.15 or path.name in ("CURRENT", "manifest.json"):
            again = shutil.copytree(store, tmp_path / "again")
            reindex(feed(again, "new"), settings_of(again))
            assert products_of(again) == 50
            shutil.rmtree(again)
        path.write_bytes(before)
    assert products_of(store) == 50
    assert refused > 20


def test_a_manifest_says_what_it_said_or_is_refused(store: Path) -> None:
    path = open_snapshot(store).path / "manifest.json"
    before, said = path.read_bytes(), open_snapshot(store).manifest
    rng, refused = random.Random(5), 0
    for _ in range(400):
        path.write_bytes(flipped(before, rng))
        try:
            assert open_snapshot(store).manifest == said  # a blank between two values
        except SnapshotError:
            refused += 1
    path.write_bytes(before)
    assert refused > 300


def test_files_of_another_snapshot_are_refused(store: Path) -> None:
    current = open_snapshot(store)
    (other,) = set(list_snapshots(store)) - {current.manifest.id}
    told = 0
    for name in [*current.manifest.files, "manifest.json"]:
        path, theirs = current.path / name, store / "snapshots" / other / name
        if not theirs.exists() or theirs.read_bytes() == path.read_bytes():
            continue
        before = path.read_bytes()
        path.unlink()  # it may be shared with the other by a link
        shutil.copyfile(theirs, path)
        with pytest.raises(SnapshotError, match=f"{path.name}|{current.manifest.id}"):
            open_snapshot(store)
        path.write_bytes(before)
        told += 1
    assert told > 10
    open_snapshot(store)


@pytest.mark.slow
@pytest.mark.parametrize("damage", [flipped, cut])
def test_a_damaged_event_log_is_a_sentence_or_the_events(
    store: Path, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    """What a flipped bit changed inside an event nobody can tell; that it is read without harm is what is asked here."""
    rng = random.Random(damage.__name__)
    for path in files_of(store / "events"):
        for _ in range(6):
            before = path.read_bytes()
            path.write_bytes(damage(before, rng))
            try:
                with closing(EventLog.open(settings_of(store))) as log:
                    assert len(list(log.read())) <= len(orders()) + 10
                    log.add(clicks(1))
                    log.history(log.person("u1"))
            except DaogouError as error:
                assert path.name in str(error) or path.stem in str(error) or "hashed with another key" in str(error), error
            with contextlib.suppress(DaogouError):
                reindex(feed(store, "new"), settings_of(store))
            assert products_of(store) == 50
            for beside in ("", "-wal", "-shm"):
                path.with_name(path.name + beside).unlink(missing_ok=True)
            path.write_bytes(before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own of six megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("work", [reindex, update])
def test_a_full_disk_keeps_what_was_there_and_takes_more_once_there_is_room(small_disk: Path, work: Callable[..., object]) -> None:
    store, filler = small_disk / "store", small_disk / "filler"
    reindex(feed(store, "old"), settings_of(store))
    with closing(EventLog.open(settings_of(store))) as log:
        log.add(clicks(0))
    refused = 0
    for free in (4_000, 60_000, 200_000, 400_000, 600_000, 900_000):
        now = os.statvfs(small_disk)
        filler.write_bytes(bytes(max(0, now.f_bavail * now.f_frsize - free)))
        new = feed(small_disk.parent / "store", "new")
        try:
            work(new, settings_of(store))
        except DaogouError as error:
            refused += 1
            assert "full" in str(error) or "written" in str(error), error
            assert products_of(store) == 40
        else:
            assert products_of(store) == 50
        acknowledged = 0
        with contextlib.suppress(EventLogError), closing(EventLog.open(settings_of(store))) as log:
            while acknowledged < 40:
                log.add(clicks(100 + acknowledged))
                acknowledged += 1
        filler.unlink()
        with closing(EventLog.open(settings_of(store))) as log:
            held = {event.client for event in log.read()}
            assert {log.person("", who) for n in (0, *range(100, 100 + acknowledged)) for who in whose(n)} <= held
        if products_of(store) == 50:
            reindex(feed(small_disk.parent / "store", "old"), settings_of(store), allow_shrink=True)
        assert products_of(store) == 40
    assert refused >= 3


@pytest.mark.slow
def test_too_little_memory_is_an_end_that_leaves_the_old_snapshot(store: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from crashing.scene import feed, settings_of; from indexer.reindex import reindex\n"
        "store = Path(sys.argv[1]); new = feed(store, 'old')\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[2]),) * 2)\n"
        "reindex(new, settings_of(store), allow_shrink=True)"
    )
    ends = set()
    for more in (1, 20_000_000, 60_000_000, 2_000_000_000):
        root = Path(__file__).parents[1]
        ended = subprocess.run(
            [sys.executable, "-c", code, str(store), str(more)],
            env={**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True, check=False, timeout=120,
        )  # fmt: skip
        ends.add(ended.returncode == 0)
        assert products_of(store) == (40 if ended.returncode == 0 else 50), ended.stderr[-400:]
    assert ends == {True, False}
    assert current_id(store) in list_snapshots(store)
