"""Clocks that leap ahead or are put back: nothing that was acknowledged is lost by it, and nobody is shut out."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from api.cli import app
from api.security import RateLimit
from engine.events import Event, EventLog
from engine.events.clock import LEAP_MS, TRIAL_MS, Clock

DAY = 86_400_000
HOUR = 3_600_000
NOW = int(1000 * time.time())
YEARS = 20 * 365 * DAY


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch):
    """Set the clock, in milliseconds."""
    return lambda now_ms: monkeypatch.setattr(time, "time", lambda: now_ms / 1000)


@pytest.fixture
def log(tmp_path: Path, at):
    at(NOW)
    log = EventLog(tmp_path / "events", consent="assumed", keep_days=400)
    log.add([Event("search", NOW - n * DAY, query_id=f"q{n}", query="tent") for n in (1, 50, 300)])
    log.prune(query_days=90)
    yield log
    log.close()


def kept(log: EventLog) -> tuple[int, int]:
    events = list(log.read())
    return len(events), sum(bool(event.query) for event in events)


def test_a_leap_ahead_deletes_nothing_and_a_clock_put_right_again_is_believed(log: EventLog, at) -> None:
    assert kept(log) == (3, 2)
    for hours in range(0, 23):
        at(NOW + YEARS + hours * HOUR)
        gone = log.prune(query_days=90)
        assert (gone.events, gone.queries, gone.disbelieved_ms) == (0, 0, NOW + YEARS + hours * HOUR)
    at(NOW + HOUR)
    assert log.prune(query_days=90).disbelieved_ms == 0
    at(NOW + YEARS + 48 * HOUR)  # another leap: the day begins again
    assert log.prune(query_days=90).disbelieved_ms
    assert kept(log) == (3, 2)


def test_a_server_that_was_off_for_long_prunes_a_day_later(log: EventLog, at) -> None:
    at(NOW + 390 * DAY)
    assert log.prune(query_days=90).events == 0
    at(NOW + 391 * DAY)
    gone = log.prune(query_days=90)
    assert (gone.events, gone.disbelieved_ms) == (2, 0)
    assert kept(log) == (1, 0)


def test_a_clock_put_back_deletes_nothing(log: EventLog, at) -> None:
    at(NOW - YEARS)
    assert log.prune(query_days=90) == log.prune(query_days=90)
    assert kept(log) == (3, 2)


@given(st.lists(st.integers(-3 * LEAP_MS, 3 * LEAP_MS), max_size=12))
def test_what_is_believed_never_leaps_before_a_day_has_passed(steps: list[int]) -> None:
    """The clock starts at ``NOW`` and moves by ``steps``. Whenever more than a leap ahead is believed, an earlier look, after whatever was
    believed last, said a time at least a day less."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        clock, now, believed, since = Clock(Path(folder)), NOW, NOW, []
        assert clock.believed(now) == NOW
        for step in steps:
            now += step
            found = Clock(Path(folder)).believed(now)
            assert found in (now, believed)
            if found == now:
                assert now <= believed + LEAP_MS or any(seen <= now - TRIAL_MS for seen in since)
                believed, since = now, []
            else:
                since.append(now)


@pytest.mark.parametrize("left", [b"", b"[", b'{"a": 1}', b"[1, 2, 3]", b'["x"]', b"null", b"[]"])
def test_a_file_that_cannot_be_read_is_a_clock_that_leapt(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "clock.json").write_bytes(left)
    clock = Clock(tmp_path)
    assert clock.believed(NOW) < NOW
    assert clock.believed(NOW + TRIAL_MS) == NOW + TRIAL_MS


def test_who_asked_to_be_forgotten_while_the_clock_was_ahead_may_consent_when_it_is_right(tmp_path: Path, at) -> None:
    log = EventLog(tmp_path / "events", consent="asked")
    ann = log.person("ann")
    at(NOW + YEARS)
    log.people.put(ann, {"personal": True})
    log.erase(ann)
    at(NOW)
    log.people.put(ann, {"personal": True})
    log.close()
    again = EventLog(tmp_path / "events", consent="asked")
    assert again.people.person(ann)
    again.erase(ann)
    assert again.people.person(ann) is None
    again.close()


def test_events_taken_in_at_any_time_of_day_are_there(log: EventLog, at) -> None:
    for place, moved in enumerate((YEARS, -DAY, -YEARS // 2, 0)):
        at(NOW + moved)
        done = log.add([Event("click", NOW + moved, event_id=f"e{place}", products=("P",))])
        assert (done.added, done.refused) == (1, ())
        log.prune(query_days=90)
    at(NOW)
    assert kept(log)[0] == 3 + 4


@pytest.mark.parametrize("moved", [-YEARS, -DAY, -61, 61, DAY, YEARS])
def test_a_rate_counts_on_after_a_leap_and_shuts_nobody_out_for_longer_than_its_window(at, moved: int) -> None:
    rate = RateLimit("3/minute")
    at(NOW)
    assert [rate.wait_s("192.0.2.1") for _ in range(3)] == [0, 0, 0]
    assert 0 < rate.wait_s("192.0.2.1") <= 60
    at(NOW + moved * 1000)
    waits = [rate.wait_s("192.0.2.1") for _ in range(5)]
    assert waits.count(0) <= 3
    assert all(wait <= 60 for wait in waits)
    at(NOW + moved * 1000 + 121_000)
    assert rate.wait_s("192.0.2.1") == 0


def test_the_command_says_that_it_does_not_believe_the_clock(log: EventLog, tmp_path: Path, at) -> None:
    run = CliRunner().invoke
    at(NOW + YEARS)
    told = run(app, ["events", "prune", "--store", str(tmp_path)])
    assert told.exit_code == 0
    assert "more than a week" in told.stderr
    assert json.loads(run(app, ["events", "prune", "--store", str(tmp_path), "--json"]).stdout)["clock_believed"] is False
    sure = json.loads(run(app, ["events", "prune", "--store", str(tmp_path), "--json", "--clock-is-right"]).stdout)
    assert (sure["events"], sure["clock_believed"]) == (3, True)
    at(NOW + YEARS + HOUR)
    assert "more than a week" not in run(app, ["events", "prune", "--store", str(tmp_path)]).stderr
