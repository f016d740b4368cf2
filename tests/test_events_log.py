"""The event log keeps each event once, durably, without a word or id that is somebody's, and forgets on request for good."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import EventLogError, SettingsError, UnfinishedErasureError
from engine.events import KINDS, Event, EventLog, invalid
from engine.events.rows import _content
from engine.schema import Money

NOW = int(1000 * time.time())
DAY = 86_400_000


def click(n: int, **given: object) -> Event:
    return Event(**{"kind": "click", "time_ms": NOW - n, "client_id": "device-0001", "products": (f"P{n}",), **given})  # type: ignore[arg-type]


@pytest.fixture
def log(tmp_path: Path):
    log = EventLog(tmp_path / "events", consent="assumed")
    yield log
    log.close()


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_an_event_comes_back_as_it_was_with_its_ids_hashed(log: EventLog) -> None:
    sent = Event(
        "purchase", NOW, "e1", "ann@example.org", "device-0001", "visit-9", "q-1", "", ("A-1",), 3, 2, Money(1999, "EUR"), 0,
        "order 7", {"ranking": "b"}, True,
    )  # fmt: skip
    assert log.add([sent]).added == 1
    (kept,) = log.read()
    assert (kept.kind, kept.time_ms, kept.products, kept.position, kept.quantity) == ("purchase", NOW, ("A-1",), 3, 2)
    assert (kept.value, kept.variants, kept.guessed) == (Money(1999, "EUR"), (("ranking", "b"),), True)
    assert kept.user == log.person("ann@example.org") != kept.client == log.person("", "device-0001")
    assert kept.session
    assert kept.query_id
    assert kept.order
    for word in (b"ann@example.org", b"device-0001", b"visit-9", b"order 7", b"q-1"):
        assert word not in everything(log.folder)


@given(st.lists(st.integers(0, 30), max_size=60))
@settings(max_examples=30)
def test_whatever_comes_twice_is_kept_once_and_read_by_time(numbers: list[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        log = EventLog(Path(folder) / "events", consent="assumed", rotation="day")
        sent = [click(n * DAY) for n in numbers]
        first, half = log.add(sent), len(sent) // 2
        again = log.add(sent[half:]), log.add(sent[:half])
        assert first.added == len(set(numbers))
        assert sum(done.added for done in again) == 0
        times = [event.time_ms for event in log.read()]
        assert times == sorted(NOW - n * DAY for n in set(numbers))
        log.close()


def test_an_event_id_tells_deliveries_apart_where_the_content_does_not(log: EventLog) -> None:
    assert log.add([click(1, event_id="a"), click(1, event_id="b"), click(1, event_id="a")]).added == 2
    assert log.add([click(1), click(1)]).duplicates == 1


def test_words_and_strange_product_ids_are_masked_and_known_ones_are_not(log: EventLog) -> None:
    search = Event("search", NOW, query_id="q", query="tent, call 138 1234 5678 or a.b@example.org", products=("13812345678",))
    done = log.add([search, click(1, products=("x@example.org",))], known_product={"13812345678"}.__contains__)
    assert done.masked == 3
    first, second = log.read()
    assert {first.products, second.products} == {("13812345678",), ("[email]",)}
    assert "tent, call [phone] or [email]" in (first.query, second.query)


@pytest.mark.parametrize("assumed", [True, False])
def test_who_did_not_consent_is_nobody(tmp_path: Path, assumed: bool) -> None:
    log = EventLog(tmp_path / "events", consent="assumed" if assumed else "asked")
    yes, no = log.person("", "says yes"), log.person("", "says no")
    log.people.put(yes, consent={"personalisation": True})
    log.people.put(no, consent={"personalisation": False, "improvement": False})
    done = log.add([click(1, client_id="says yes"), click(2, client_id="says no"), click(3, client_id="says nothing")])
    kept = {event.products[0]: event.person for event in log.read()}
    assert kept["P1"] == yes
    assert kept["P2"] == ""
    assert bool(kept["P3"]) is assumed
    assert done.nobody == (1 if assumed else 2)
    # what is kept for one purpose is not used for another
    used = {event.products[0] for event in log.read(purpose="improvement")}
    assert used == ({"P1", "P2", "P3"} if assumed else {"P2", "P3"})
    log.people.put(yes, consent={"improvement": False})
    assert "P1" not in {event.products[0] for event in log.read(purpose="improvement")}
    log.close()


def test_a_history_is_one_person_the_latest_first(log: EventLog) -> None:
    log.add([click(n * DAY, user_id=f"u{n % 3}") for n in range(60)])
    mine = log.history(log.person("u1"), most=5)
    assert [e.products[0] for e in mine] == [f"P{n * DAY}" for n in (1, 4, 7, 10, 13)]
    assert log.history("") == log.history(log.person("nobody")) == []


@pytest.mark.parametrize(
    "event",
    [
        click(1, time_ms=0), click(1, products=()), click(1, products=("",)), click(1, products=("a", "b")), click(1, user_id="u" * 300),
        Event("search", NOW, query=" "), Event("search", NOW, query="q" * 600), Event("feedback", NOW), click(1, position=-1),
        click(1, value=Money(-1, "USD")), Event("impression", NOW, products=("a",) * 201),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_a_reason_and_the_rest_kept(log: EventLog, event: Event) -> None:
    assert invalid(event)
    done = log.add([click(1), event, click(2)])
    assert (done.added, [place for place, _ in done.refused]) == (2, [1])


def test_neither_the_future_nor_what_is_past_its_time_is_taken(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events", consent="assumed", keep_days=30)
    done = log.add([click(-2 * DAY), click(31 * DAY), click(29 * DAY)])
    assert [place for place, _ in done.refused] == [0, 1]
    log.close()


def test_time_takes_words_first_then_events_then_their_files(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events", consent="assumed", rotation="day", keep_days=30)
    log.add([Event("search", NOW - n * DAY, query_id=f"q{n}", query="a secret word") for n in (1, 10, 20)])
    gone = log.prune(query_days=15)
    assert (gone.events, gone.queries) == (0, 1)
    assert [bool(e.query) for e in log.read()] == [False, True, True]
    gone = log.prune(query_days=15, now_ms=NOW + 15 * DAY)
    assert (gone.events, gone.queries) == (1, 2)
    log.prune(query_days=1, now_ms=NOW + 60 * DAY)
    assert sum(log.count().values()) == 0
    assert not [p for p in log.folder.iterdir() if p.name.startswith("20")]
    assert b"secret" not in everything(log.folder)
    log.close()


def test_erasure_leaves_nothing_and_comes_back_with_a_backup(tmp_path: Path) -> None:
    folder = tmp_path / "events"
    log = EventLog(folder, consent="assumed")
    log.add([click(n * 20 * DAY, user_id="ann", query_id=f"q{n}") for n in range(9)] + [click(5, user_id="bob")])
    log.add([Event("search", NOW - 1, user_id="ann", query_id="qs", query="annas own words")])
    ann = log.person("ann")
    log.people.put(ann, stated={"brands": ["Fellmark"]})
    log.close()
    shutil.copytree(folder, tmp_path / "backup")
    log = EventLog(folder, consent="assumed")
    assert log.erase(ann) == (10, True)
    assert log.history(ann) == []
    assert log.people.person(ann) is None
    assert bytes.fromhex(ann) not in everything(folder).replace((folder / "forgotten.jsonl").read_bytes(), b"")
    assert b"annas own words" not in everything(folder)
    assert len(log.history(log.person("bob"))) == 1
    log.close()
    # a backup is put back, the list of erasures is not part of it
    for path in folder.iterdir():
        if path.name != "forgotten.jsonl":
            path.unlink()
    for path in (tmp_path / "backup").iterdir():
        shutil.copy2(path, folder / path.name)
    log = EventLog(folder, consent="assumed")
    assert log.history(ann) == []
    assert log.people.person(ann) is None
    assert b"annas own words" not in everything(folder)
    # nor does an old log bring her back when it is imported again, while what she does later is hers
    assert log.add([click(n * 20 * DAY, user_id="ann", query_id=f"q{n}") for n in range(1, 9)]).added == 0
    assert log.add([click(0, user_id="ann", time_ms=int(1000 * time.time()) + 1000)]).added == 1
    assert len(log.history(ann)) == 1
    log.close()


def test_an_erasure_that_a_crash_cut_off_does_not_hide_the_next(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events", consent="assumed")
    log.add([click(1, user_id="ann"), click(2, user_id="bob")])
    (log.folder / "forgotten.jsonl").write_bytes(b'{"person": "00ff", "at_')
    log.erase(log.person("ann"))
    log.close()
    log = EventLog(tmp_path / "events", consent="assumed")
    assert [f.person for f in log.people.forgotten()] == [log.person("ann")]
    assert len(log.history(log.person("bob"))) == 1
    log.close()


@pytest.mark.parametrize(
    "line", [b'{"person": "00f/", "at_ms": 1}', b'{"person": "aa", "at_ms": 1e30}', b'{"person": "aa", "at_ms": -1}', b"\xff", b"[1]", b"7", b'{"at_ms": 1}']
)  # fmt: skip
def test_a_damaged_line_of_erasures_keeps_nobody_from_being_forgotten(tmp_path: Path, line: bytes) -> None:
    log = EventLog(tmp_path / "events", consent="assumed")
    log.add([click(1, user_id="ann")])
    log.close()
    (tmp_path / "events" / "forgotten.jsonl").write_bytes(line + b"\n")
    log = EventLog(tmp_path / "events", consent="assumed")
    assert log.people.forgotten() == []
    assert log.erase(log.person("ann"))[0] == 1
    assert [f.person for f in log.people.forgotten()] == [log.person("ann")]
    log.close()


def test_a_damaged_check_of_the_key_is_a_sentence(tmp_path: Path) -> None:
    EventLog(tmp_path / "events", consent="assumed").close()
    path = tmp_path / "events" / "key.check"
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    with pytest.raises(SettingsError, match="hashed with another key"):
        EventLog(tmp_path / "events", consent="assumed")


def test_the_key_is_the_owners_alone_and_another_key_is_refused(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events", consent="assumed")
    log.add([click(1, user_id="ann")])
    assert (tmp_path / "events" / "key").stat().st_mode & 0o777 == 0o600
    assert all(p.stat().st_mode & 0o077 == 0 for p in (tmp_path / "events").glob("*.sqlite"))
    log.close()
    with pytest.raises(SettingsError, match="another key"):
        EventLog(tmp_path / "events", consent="assumed", key="another key, long enough for anybody")
    (tmp_path / "events" / "key").write_bytes(b"short")
    with pytest.raises(SettingsError, match="damaged"):
        EventLog(tmp_path / "events")


def test_a_damaged_or_newer_file_is_a_sentence(tmp_path: Path, log: EventLog) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "2026-11.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(EventLogError, match="cannot be opened"):
        EventLog(tmp_path / "damaged").count()
    (tmp_path / "newer").mkdir()
    with sqlite3.connect(tmp_path / "newer" / "2026-11.sqlite") as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(EventLogError, match="format 9"):
        EventLog(tmp_path / "newer").count()


WRITER = """
import sys, time
from pathlib import Path
from engine.events import Event, EventLog
log = EventLog(Path(sys.argv[1]), consent="assumed")
now = int(1000 * time.time())
for n in range(10**6):
    log.add([Event("click", now - n % 90 * 86_400_000, event_id=f"{sys.argv[2]} {n} {k}", products=("A",)) for k in range(3)])
    print(n, flush=True)
"""


@pytest.mark.slow
def test_what_was_acknowledged_survives_kill_9_of_several_writers(tmp_path: Path) -> None:
    acknowledged: Counter[str] = Counter()
    for turn in range(6):
        writers = {
            name: subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "events"), name], stdout=subprocess.PIPE, text=True)
            for name in (f"a{turn}", f"b{turn}")
        }
        for process in writers.values():
            assert process.stdout is not None
            assert all(process.stdout.readline() for _ in range(4))
        time.sleep(0.1 + 0.07 * turn)
        for name, process in writers.items():
            os.kill(process.pid, signal.SIGKILL)
            assert process.stdout is not None
            acknowledged[name] = 4 + len(process.stdout.read().splitlines())
            process.wait()
        log = EventLog(tmp_path / "events", consent="assumed")
        # every acknowledged event is there: adding it again adds nothing
        for name, count in acknowledged.items():
            sent = (Event("click", NOW, event_id=f"{name} {n} {k}", products=("A",)) for n in range(count) for k in range(3))
            hashes = {log.keys.hashed("event", _content(event)) for event in sent}
            there = {row[0] for period in log._volumes.names() for row in log._volumes.get(period).ask("SELECT id FROM events")}
            assert hashes <= there
        assert sum(log.count().values()) >= 3 * sum(acknowledged.values())
        log.close()
    assert min(acknowledged.values()) > 3
    assert max(acknowledged.values()) > 4


def test_all_kinds_are_counted(log: EventLog) -> None:
    log.add([click(1), Event("feedback", NOW, rating=-1), Event("search", NOW, query="x", query_id="1")])
    assert log.count() == {**dict.fromkeys(KINDS, 0), "click": 1, "feedback": 1, "search": 1}
    assert log.searched("1")
    assert not log.searched("2")


def test_who_comes_back_after_a_lost_or_shorter_list_is_still_forgotten(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events", consent="assumed")
    for name in ("ann", "bob", "cyd"):
        log.add([click(1, user_id=name)])
    log.erase(log.person("ann"))
    log.close()
    (tmp_path / "events" / "forgotten.jsonl").unlink()  # restored without it
    log = EventLog(tmp_path / "events", consent="assumed")
    log.erase(log.person("bob"))
    assert log.history(log.person("bob")) == []
    log.erase(log.person("cyd"), at_ms=NOW - 5 * DAY)  # the clock has gone back
    assert log.history(log.person("cyd")) == []
    log.close()


def test_an_erasure_on_a_full_disk_gives_no_receipt(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.add([click(1, user_id="ann")])
    write = os.write

    def full(handle: int, data: bytes) -> int:
        if b"person" in data:
            raise OSError(28, "No space left on device")
        return write(handle, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(EventLogError, match="could not be written down"):
        log.erase(log.person("ann"))
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:7]))  # a little at a time
    assert log.erase(log.person("ann"))[0] == 1


def test_an_erasure_between_reading_and_writing_an_event_is_kept_to(tmp_path: Path) -> None:
    log, other = (EventLog(tmp_path / "events", consent="assumed") for _ in range(2))
    log.add([click(10, user_id="bob")])
    reading = log._gone

    def slow() -> dict[str, int]:
        found = reading()
        if not other.people.forgotten():
            other.erase(other.person("ann"))  # somebody else is faster
        return found

    log._gone = slow  # type: ignore[method-assign]
    log.add([click(1, user_id="ann", event_id="late")])
    assert [e.person for e in log.read()] == [log.person("bob")]
    log.close()
    other.close()


def test_a_damaged_file_keeps_nobody_from_being_answered_or_forgotten_elsewhere(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events", consent="assumed")
    log.add([click(1, user_id="ann"), click(70 * DAY, user_id="ann")])
    log.close()
    oldest = min((tmp_path / "events").glob("20*.sqlite"))
    oldest.write_bytes(b"damaged" * 3000)
    log = EventLog(tmp_path / "events", consent="assumed")
    assert len(log.history(log.person("ann"))) == 1
    with pytest.raises(EventLogError, match="Not every file"):
        log.erase(log.person("ann"))
    assert log.history(log.person("ann")) == []
    assert [f.person for f in log.people.forgotten()] == [log.person("ann")]
    log.close()


def test_ids_of_one_sender_mean_nothing_to_another_and_hold_across_files(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events", consent="assumed", rotation="day")
    squatter = click(1, event_id="order 1 line 1", client_id="somebody else entirely")
    bought = Event("purchase", NOW, event_id="order 1 line 1", user_id="ann", products=("A",))
    assert log.add([squatter, bought]).added == 2
    midnight = NOW - NOW % DAY
    assert log.add([click(0, event_id="x", time_ms=midnight - 1000, products=("A",))]).added == 1
    assert log.add([click(0, event_id="x", time_ms=midnight + 1000, products=("A",))]).added == 0
    log.close()
    log = EventLog(tmp_path / "events", consent="assumed", rotation="month")
    assert log.add([squatter, bought]).added == 0  # another rotation, the same files
    log.close()


def test_a_device_that_refused_is_not_in_what_its_user_allows(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events", consent="assumed")
    log.people.put(log.person("", "refusing-device-01"), consent={"personalisation": False, "improvement": False})
    log.people.put(log.person("no"), consent={"personalisation": False, "improvement": False})
    log.add([click(1, user_id="ann", client_id="refusing-device-01"), click(2, user_id="no", client_id="willing-device-0001")])
    kept = {e.products[0]: e for e in log.read()}
    assert (kept["P1"].user, kept["P1"].client) == (log.person("ann"), "")
    assert (kept["P2"].user, kept["P2"].client) == ("", "")
    log.close()


def test_stated_likes_are_masked_and_replaced_ones_are_gone(log: EventLog) -> None:
    person = log.person("ann")
    log.people.put(person, stated={"brands": ["jane@example.com", "Firstbrand"]})
    log.people.put(person, stated={"brands": ["Secondbrand"]})
    held = everything(log.folder)
    assert b"jane@example.com" not in held
    assert b"Firstbrand" not in held
    assert b"Secondbrand" in held


def test_lists_of_models_forget_with_a_backup_too(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events", consent="assumed")
    log.uses.add("snapshot", "s1", [log.person("ann")])
    log.close()
    shutil.copy2(tmp_path / "events" / "uses.sqlite", tmp_path / "backup")
    log = EventLog(tmp_path / "events", consent="assumed")
    log.erase(log.person("ann"))
    log.close()
    shutil.copy2(tmp_path / "backup", tmp_path / "events" / "uses.sqlite")
    log = EventLog(tmp_path / "events", consent="assumed")
    assert log.uses.of(log.person("ann")) == []
    log.close()


OTHER = """
import sys
from contextlib import closing
from pathlib import Path
from engine.events import EventLog
with closing(EventLog(Path(sys.argv[1]), consent="assumed")) as log:
    print(log.count()["click"])
"""


def counted_elsewhere(folder: Path) -> int:
    asked = [sys.executable, "-c", OTHER, str(folder)]
    root = str(Path(__file__).parents[1])
    return int(subprocess.run(asked, env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=True).stdout)


def test_two_logs_of_one_process_keep_their_locks_whatever_another_process_does(tmp_path: Path) -> None:
    one, two = (EventLog(tmp_path / "events", consent="assumed") for _ in range(2))
    for turn in range(3):
        for log in (one, two):
            log.history(log.person("ann"))
            log.add([click(3 * turn + 1, user_id="ann")])
        assert counted_elsewhere(tmp_path / "events") == turn + 1  # the last to close takes the write-ahead log away
        assert all((tmp_path / "events" / f"{name}-wal").exists() for name in ("people.sqlite", "uses.sqlite"))
    one.close()
    two.close()
    assert counted_elsewhere(tmp_path / "events") == 3


def test_an_erasure_that_a_reader_keeps_from_being_finished_gives_no_receipt_and_is_finished_later(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events", consent="assumed")
    log.add([Event("search", NOW, user_id="ann", query="zanzibarword")])
    (file,) = (tmp_path / "events").glob("20*.sqlite")
    reader = sqlite3.connect(file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM events").fetchone()
    with pytest.raises(UnfinishedErasureError):
        log.erase(log.person("ann"))
    reader.close()
    log.close()
    EventLog(tmp_path / "events", consent="assumed").close()
    assert not [p for p in (tmp_path / "events").iterdir() if b"zanzibarword" in p.read_bytes()]


def test_events_that_race_with_an_erasure_leave_nothing_without_consent(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events")
    other = EventLog(tmp_path / "events")
    ann = log.person("ann")
    for turn in range(12):
        log.people.put(ann, {"personalisation": True})
        begin = threading.Barrier(2)

        def send(turn: int = turn, begin: threading.Barrier = begin) -> None:
            begin.wait()
            for n in range(30):
                other.add([Event("click", int(1000 * time.time()) + 40_000, user_id="ann", products=("P1",), event_id=f"{turn} {n}")])

        sender = threading.Thread(target=send)
        sender.start()
        begin.wait()
        time.sleep(0.002 * turn)
        log.erase(ann)
        sender.join()
        assert log.history(ann) == []
        assert log.people.person(ann) is None
    log.close()
    other.close()


def test_searches_push_no_purchase_out_of_what_is_remembered(log: EventLog) -> None:
    log.add([Event("purchase", NOW - DAY, user_id="ann", products=("P1",))])
    log.add([Event("search", NOW - n, user_id="ann", query=f"q {n}") for n in range(50)])
    assert [e.kind for e in log.history(log.person("ann"), 10, kinds=("purchase", "click"))] == ["purchase"]
