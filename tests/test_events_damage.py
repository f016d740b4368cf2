"""A damaged event is in no answer, is named and mended, and costs no other one; what rewrites an event keeps its checksum right."""

from __future__ import annotations

import json
import logging
import random
import shutil
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import app
from engine.errors import EventLogError
from engine.events import Event, EventLog, StoredEvent
from engine.events.checksum import checksum
from engine.privacy.erasure import export_person
from engine.schema import Money

GOLDEN = Path(__file__).parent / "golden" / "events-1"
DAY = 86_400_000
NOW = int(1000 * time.time()) // DAY * DAY - DAY // 2


def opened(folder: Path) -> closing[EventLog]:
    return closing(EventLog(folder, consent="assumed"))


def events(n: int) -> list[Event]:
    """Events of four users and three devices, one of a user who is on a device of another."""
    return [
        Event(
            ("search", "click", "purchase")[k % 3], NOW - 1000 * k, f"e{k}", f"user-{k % 4}" if k % 5 else "", f"device-{k % 3}", "visit", f"q{k // 3}",
            "waterproof tent 防水" if k % 3 == 0 else "", (f"P{k}",), k % 7, 1, Money(100 + k, "EUR"),
        )
        for k in range(n)
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of sixty events in one file."""
    with opened(tmp_path / "store" / "events") as log:
        log.add(events(60), lambda product: True)
    return tmp_path / "store" / "events"


def volume_of(folder: Path) -> Path:
    (path,) = folder.glob("20*.sqlite")
    return path


def damage(folder: Path, number: int, column: str = "position", value: object = 99_999) -> Path:
    """Change a value behind the back of everything."""
    path = volume_of(folder)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE events SET {column} = ? WHERE seq = ?", (value, number))
    return path


def test_a_checksum_is_the_same_everywhere_and_another_for_every_flipped_bit() -> None:
    assert checksum((1, "tent", "帐篷", None, b"\x00\xff")) == 173401640  # files of other machines have to agree
    row = (b"\x01\x02", 17, "防水 tent", None, 0, b"", "")
    changed = [(*row[:k], value, *row[k + 1 :]) for k in range(len(row)) for value in (None, 1, "x", b"x", "\udc80")]
    assert len({checksum(one) for one in changed if one != row} | {checksum(row)}) == len({*changed, row})


def test_a_damaged_event_is_left_out_named_and_costs_no_other(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(folder) as log:
        before = list(log.read())
    path = damage(folder, 7)
    damage(folder, 8, "query", b"\xff\xfe".decode("latin-1"))
    damage(folder, 9, "rating", -1)
    damage(folder, 10, "kind", 77)
    with opened(folder) as log, caplog.at_level(logging.ERROR, "daogou.events"):
        found = list(log.read())
        list(log.read())
        assert len(found) == 56
        assert set(found) < set(before)
        assert log.damaged() == {path.stem: 3}
        assert [r.getMessage() for r in caplog.records] == [f"file={path.stem} event={n} reason=damaged" for n in (9, 8, 7)]
        for who in range(4):
            mine = log.history(log.person(f"user-{who}"))
            assert set(mine) == {event for event in found if event.user == log.person(f"user-{who}")}
        assert sum(log.count().values()) == 59  # by kind, whatever else is in it
        assert export_person(log, "user-2").unread == [path.stem]
        (checked,) = log.check()
        assert (checked.whole, checked.unchecked, checked.damaged) == (56, 0, (7, 8, 9, 10))


def test_what_is_sent_again_is_whole_again(folder: Path) -> None:
    with opened(folder) as log:
        before = Counter(log.read())
    for number in (3, 30):
        damage(folder, number)
    with opened(folder) as log:
        assert log.add(events(60), lambda product: True).added == 2
        assert Counter(log.read()) == before
        assert [(one.whole, one.damaged) for one in log.check()] == [(60, ())]


def test_the_command_tells_damage_and_removes_it(folder: Path) -> None:
    store, run = str(folder.parent), CliRunner().invoke
    assert run(app, ["events", "check", "--store", store]).exit_code == 0
    path = damage(folder, 5)
    told = run(app, ["events", "check", "--store", store])
    assert isinstance(told.exception, EventLogError)
    assert "1 events are damaged" in str(told.exception)
    assert f"{path.stem}  59 whole, 1 damaged" in told.stdout
    assert "numbers 5" in told.stdout
    mended = run(app, ["events", "check", "--mend", "--store", store])
    assert (mended.exit_code, "removed: numbers 5" in mended.stdout) == (0, True)
    again = run(app, ["events", "check", "--store", store, "--json"])
    assert (again.exit_code, sum(one["whole"] for one in json.loads(again.stdout))) == (0, 59)


def test_an_index_that_lacks_events_is_told_and_made_anew(folder: Path) -> None:
    path = volume_of(folder)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:  # an index over fewer rows passes for the old one
        sql = db.execute("SELECT sql FROM sqlite_master WHERE name = 'by_time'").fetchone()[0]
        db.execute("DROP INDEX by_time")
        db.execute("CREATE INDEX by_time ON events (time_ms) WHERE seq > 20")
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'by_time'", (sql,))
    with opened(folder) as log:
        assert len(list(log.read())) == 40
        assert "by_time" in log.check()[-1].problem
        assert log.check(mend=True)[-1].problem == ""
        assert len(list(log.read())) == 60


@pytest.mark.parametrize("number", [7, 14])
def test_what_rewrites_events_keeps_their_checksums_right_and_damaged_ones_damaged(folder: Path, number: int) -> None:
    damage(folder, number)  # a search whose words go; a click of a user whose device goes
    with opened(folder) as log:
        assert log.prune(0, now_ms=NOW + 1).queries == 20
        log.erase(log.person("", "device-1"))
        log.erase(log.person("user-3"))
        found = list(log.read())
        device = log.person("", "device-1")
        assert all(device not in (event.user, event.client) and not event.query for event in found)
        assert any(event.user and not event.client for event in found)
        assert [(one.whole, one.unchecked, one.damaged, one.problem) for one in log.check()] == [(len(found), 0, (number,), "")]


def test_a_file_of_before_checksums_opens_and_what_is_added_has_one(tmp_path: Path) -> None:
    folder = shutil.copytree(GOLDEN, tmp_path / "events")
    with opened(folder) as log:
        found = list(log.read())
        assert [(e.kind, e.query, e.products, e.rating) for e in found] == [
            ("search", "waterproof tent 防水", ("P1", "P2", "P3"), 0), ("click", "", ("P2",), 0), ("purchase", "", ("P2",), 0),
            ("click", "", ("P9",), 0), ("feedback", "", (), -1),
        ]  # fmt: skip
        assert (found[2].value, found[2].variants) == (Money(1999, "EUR"), (("ranking", "b"),))
        assert {e.user for e in found[:3]} == {log.person("ann")}
        click = Event("click", found[0].time_ms + 5000, "c3", "", "device-bob-0123456789", products=("P8",))
        assert log.add([click, click]).added == 1
        (checked,) = log.check()
        assert (checked.whole, checked.unchecked, checked.damaged, checked.problem) == (1, 5, (), "")
        assert log.erase(log.person("ann"))[0] == 3
        assert [(one.whole, one.unchecked) for one in log.check()] == [(1, 2)]
        assert log.erase(log.person("", "device-bob-0123456789"))[0] == 2
    with opened(folder) as log:
        assert [e.kind for e in log.read()] == ["feedback"]
    damage(folder, 5, "kind", 77)  # one that has no checksum, and cannot be read
    with opened(folder) as log:
        assert list(log.read()) == []
        assert log.check()[0].damaged == (5,)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("time_ms", "x"), ("kind", -1), ("position", "x"), ("rating", 0.5), ("query", b"x"), ("products", "[1]"), ("amount", 2.5),
        ("currency", b"EUR"), ("variants", '{"a": 1}'), ("user", "x"),
    ],
)  # fmt: skip
def test_an_event_of_before_checksums_has_fields_of_their_types_or_is_damaged(tmp_path: Path, column: str, value: object) -> None:
    folder = shutil.copytree(GOLDEN, tmp_path / "events")
    opened(folder).thing.close()  # it gets a column for checksums
    path = volume_of(folder)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE events SET amount = 100, currency = 'EUR' WHERE seq = 2")
        db.execute(f"UPDATE events SET {column} = ? WHERE seq = 2", (value,))
    with opened(folder) as log:
        assert log.check()[0].damaged == (2,)
        assert all(isinstance(event.time_ms, int) for event in log.read())


@pytest.mark.slow
@pytest.mark.parametrize("where", ["anywhere", "in a row"])
def test_a_flipped_bit_never_makes_another_event_and_what_it_hides_is_told(folder: Path, where: str) -> None:
    """SQLite reads a page whose bits were flipped; what comes of it is compared with what was written."""
    path, rng, hidden, told = volume_of(folder), random.Random(where), 0, 0
    content = path.read_bytes()
    with opened(folder) as log:
        written: Counter[StoredEvent] = Counter(log.read())
        ann = log.person("user-1")
    rows = [at for at in range(len(content)) if content[at : at + 4] in (b'["P1', b"wate", b"EUR\x01")]
    for _ in range(250):
        at = rng.choice(rows) - rng.randrange(120) if where == "in a row" else rng.randrange(len(content))
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :])
        found: Counter[StoredEvent] = Counter()
        refused = True
        try:
            with opened(folder) as log:
                found.update(log.read())
                assert all(ann in (event.user, event.client) for event in log.history(ann))
                log.count()
                refused = bool(log.unread())
        except EventLogError as error:
            assert path.name in str(error) or path.stem in str(error), error
        assert not found - written, (at, found - written)
        if written - found:
            hidden += 1
            try:
                with opened(folder) as log:
                    assert refused or any(one.damaged or one.problem for one in log.check()), at
            except EventLogError:
                pass
            told += 1
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
    path.write_bytes(content)
    assert hidden > (40 if where == "in a row" else 3)
    assert told == hidden
