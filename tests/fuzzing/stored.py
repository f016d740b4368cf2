"""What lies on a disk or on object storage: manifests, pointers, rows and files of the event log, erasures."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from engine.errors import DaogouError, EventLogError, RemoteError, SettingsError, SnapshotError
from engine.events import Event, EventLog, StoredEvent
from engine.events.checksum import checksum
from engine.events.event import KINDS
from engine.events.keys import Keyring
from engine.events.people import People
from engine.events.rows import stored, written
from engine.index.remote import Remote
from engine.index.snapshot import (
    FORMAT,
    MANIFEST,
    Manifest,
    _sha256_of_values,
    current_id,
    open_snapshot,
    read_manifest,
)
from engine.schema import Money
from fuzzing.catalogue import desk
from fuzzing.feeds import patched
from fuzzing.target import sentence

__all__ = ["GOOD_MANIFEST", "GOOD_ROW", "is_stored", "read_erasures", "read_event_file", "read_manifest_file", "read_pointer", "read_row"]

_NAME = "20260101T000000-abcd"
GOOD_MANIFEST = Manifest(
    id=_NAME,
    created="2026-01-01T00:00:00Z",
    format=FORMAT,
    text_version=1,
    terms_version=1,
    encoder="e",
    model="m",
    products=1,
    dimension=4,
    files={"documents/ids.txt": {"bytes": 2, "sha256": "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7"}},
)
"""Of a snapshot whose one file holds ``a`` and the end of a line."""


def _fresh(name: str) -> Path:
    folder = desk() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _outside(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


def read_manifest_file(data: bytes) -> None:
    """A manifest in a store and on object storage. Where the first byte is even, its own SHA-256 is put right, as a stranger would."""
    body = data[1:]
    if data and not data[0] & 1:
        try:
            values = json.loads(body)
            values["sha256"] = _sha256_of_values({k: v for k, v in values.items() if k != "sha256"})
            body = json.dumps(values).encode()
        except (ValueError, TypeError, AttributeError, RecursionError):
            pass
    store = _fresh("store")
    folder = store / "snapshots" / _NAME
    (folder / "documents").mkdir(parents=True)
    (folder / MANIFEST).write_bytes(body)
    (folder / "documents" / "ids.txt").write_bytes(b"a\n")
    try:
        manifest = read_manifest(folder)
    except SnapshotError as error:
        sentence(error)
        manifest = None
    if manifest is not None:
        assert all(isinstance(getattr(manifest, n), str) for n in ("id", "created", "encoder", "model"))
        assert all(isinstance(getattr(manifest, n), int) for n in ("products", "dimension", "delta", "dead", "text_version"))
        assert all((folder / name).resolve().is_relative_to(folder.resolve()) for name in manifest.files)
        (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")
        assert read_manifest(folder) == manifest
    try:
        assert open_snapshot(store, _NAME).manifest == manifest
    except SnapshotError as error:
        sentence(error)
    _fetch(body)


def _fetch(manifest: bytes) -> None:
    """Hold that a server that fetches this writes nowhere but into its own store."""
    root = _fresh("fetching")
    there, here = root / "there", root / "here"
    (there / "snapshots" / _NAME).mkdir(parents=True)
    (there / "files").mkdir()
    (there / "snapshots" / _NAME / MANIFEST).write_bytes(manifest)
    for sha256 in (*GOOD_MANIFEST.files.values(),):
        (there / "files" / sha256["sha256"]).write_bytes(b"a\n")
    before = _outside(root), _outside(desk())
    try:
        Remote(f"file://{there}").fetch(_NAME, here)
    except (SnapshotError, RemoteError) as error:
        sentence(error)
        assert not (here / "CURRENT").exists()
    assert (_outside(root) - {"here"}, _outside(desk())) == (before[0], before[1]), "something was written outside"
    assert _outside(here) <= {"FETCH", "fetch.tmp", "snapshots", "CURRENT"}, _outside(here)
    assert not (here / "snapshots").exists() or _outside(here / "snapshots") <= {_NAME}


def read_pointer(data: bytes) -> None:
    """``CURRENT``, in a store and on object storage."""
    store = _fresh("pointing")
    (store / "CURRENT").write_bytes(data)
    for read in (lambda: current_id(store), Remote(f"file://{store}").current, lambda: open_snapshot(store).manifest.id):
        try:
            name = read()
        except SnapshotError as error:
            sentence(error)
        else:
            assert name
            assert "/" not in name
            assert not name.startswith(".")


_KEYS = Keyring(b"k" * 32)
_NOW = 1_790_000_000_000
GOOD_ROW = written(
    Event("click", _NOW, "e1", "ann", "device-0", "visit", "q1", "red tent", ("P1",), 2, 1, Money(100, "EUR"), 0, "o1", {"x": "a"}),
    _KEYS, (True, True), lambda product: True, _NOW,
)[0]  # fmt: skip


def is_stored(event: StoredEvent) -> None:
    """Hold that every field of an event is of its type."""
    assert event.kind in KINDS
    texts = (event.user, event.client, event.session, event.query_id, event.query, event.order)
    assert all(isinstance(text, str) for text in texts)
    assert isinstance(event.products, tuple)
    assert all(isinstance(product, str) for product in event.products)
    numbers = (event.time_ms, event.position, event.quantity, event.rating)
    assert all(isinstance(number, int) for number in numbers)
    assert isinstance(event.guessed, bool)
    if event.value is not None:
        assert isinstance(event.value.amount, int)
        assert isinstance(event.value.currency, str)
        str(event.value)
    assert all(isinstance(part, str) for pair in event.variants for part in pair)
    hash(event)


def read_row(data: bytes) -> None:
    """A row with some of its values changed: JSON pairs of a place and a value, where ``{"hex": …}`` are bytes."""
    try:
        changes = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    row: list[Any] = list(GOOD_ROW)
    for change in changes if isinstance(changes, list) else ():
        if isinstance(change, list) and len(change) == 2 and isinstance(change[0], int):
            row[change[0] % len(row)] = _as_sqlite(change[1])
    assert (whole := stored([*row, checksum(row), 1])) is None or isinstance(whole, StoredEvent)
    if row != list(GOOD_ROW):
        assert stored([*row, checksum(GOOD_ROW), 1]) is None
    of_before = stored([*row, None, 1])
    if of_before is not None:
        is_stored(of_before)


def _as_sqlite(value: Any) -> Any:
    if isinstance(value, dict):
        try:
            return bytes.fromhex(str(value.get("hex", "")))
        except ValueError:
            return b""
    if isinstance(value, list):
        return orjson.dumps(value).decode()
    return int(value) if isinstance(value, bool) else value


@cache
def _log() -> tuple[Path, frozenset[StoredEvent], str]:
    """Return a folder with a log of six events, what they are, and the name of their file."""
    folder = _fresh("log")
    base = int(1000 * time.time()) // 86_400_000 * 86_400_000 - 43_200_000
    with closing(EventLog(folder, consent="assumed")) as log:
        log.add(
            [
                Event("search" if n % 2 else "click", base - n, f"e{n}", f"user-{n % 2}", "device-0", "visit", "q", "red tent" if n % 2 else "", (f"P{n}",))
                for n in range(6)
            ],
            lambda product: True,
        )
        found = frozenset(log.read())
    (path,) = folder.glob("20*.sqlite")
    return folder, found, path.name


def read_event_file(data: bytes) -> None:
    """A file of the event log with some bytes replaced; the first byte says which of them."""
    good, events, name = _log()
    folder = desk() / "logged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(good, folder)
    names = (name, name, "key.check", "people.sqlite", "uses.sqlite", "key")
    path = folder / names[data[0] % len(names)] if data else folder / name
    path.write_bytes(patched(path.read_bytes(), data[1:]))
    try:
        with closing(EventLog(folder, consent="assumed")) as log:
            found = list(log.read())
            unchecked = any(checked.unchecked for checked in log.check())  # a row that lost its checksum passes for one of before
            if path.name == name:
                assert set(found) <= events or unchecked, "an event that nobody wrote"
            for event in found:
                is_stored(event)
            log.history(log.person("user-1"))
            log.count()
            log.people.person(log.person("user-1"))
    except (EventLogError, SettingsError) as error:
        sentence(error)


def read_erasures(data: bytes) -> None:
    """The list of erasures, which is read and done again whenever the log is opened."""
    folder = _fresh("erasing")
    (folder / "forgotten.jsonl").write_bytes(data)
    with closing(People(folder)) as people:
        for gone in people.forgotten():
            assert isinstance(gone.person, str)
            assert isinstance(gone.at_ms, int)
        people.replay(0.0)
        before = people.forgotten()
        people.forget("aa", 5)
        assert [(g.person, g.at_ms) for g in people.forgotten()] == [*((g.person, g.at_ms) for g in before), ("aa", 5)]
    good, _, _ = _log()
    both = desk() / "erased"
    shutil.rmtree(both, ignore_errors=True)
    shutil.copytree(good, both)
    (both / "forgotten.jsonl").write_bytes(data)
    try:
        with closing(EventLog(both, consent="assumed")) as log:
            list(log.read())
    except DaogouError as error:
        sentence(error)
