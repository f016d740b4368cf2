"""Scenes of the event log: events added and imported, people who consent and are erased, what has had its time."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from crashing.scene import DAY_MS, NOW_MS, Scene, clicks, opened, say, whose
from engine.events import Event, EventLog
from indexer.events.importing import import_events

__all__ = ["Consent", "Erase", "Events", "Import", "Prune"]


class Events(Scene):
    """Batches of events are added one after the other, each said when it is acknowledged."""

    batches = 10

    def act(self, store: Path) -> None:
        """Add them."""
        with opened(store) as log:
            for batch in range(self.batches):
                log.add(clicks(batch))
                say(f"batch {batch};")

    def check(self, store: Path, said: bytes) -> None:
        """What was acknowledged is there, nothing else but the next batch is, and all of it can be added again."""
        acknowledged = said.count(b"batch ")
        with opened(store) as log:
            people = {log.person("", who): n for n in range(self.batches) for who in whose(n)}
            found = [people[event.client] for event in log.read()]
            assert all(found.count(n) == 5 for n in range(acknowledged)), (acknowledged, found)
            assert all(n <= acknowledged for n in found)
            for batch in range(self.batches):
                log.add(clicks(batch))
            assert log.count()["click"] == 5 * self.batches


class Import(Scene):
    """A file of events is imported."""

    def act(self, store: Path) -> None:
        """Import it."""
        with opened(store) as log:
            import_events(self._file(store), log)
            say("imported")

    def check(self, store: Path, said: bytes) -> None:
        """All of it is there once it was said; imported again, it is there once."""
        with opened(store) as log:
            assert log.count()["click"] in ({120} if b"imported" in said else set(range(121)))
            import_events(self._file(store), log)
            assert log.count()["click"] == 120

    def _file(self, store: Path) -> Path:
        path = store.parent / f"{store.name}.events.jsonl"
        records = [
            {"action_name": "click", "client_id": f"d{n}", "timestamp": NOW_MS - n * DAY_MS // 2, "event_attributes": {"object": {"object_id": f"P{n}"}}}
            for n in range(120)
        ]
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path


class Erase(Scene):
    """A person is erased; another is not."""

    def prepare(self, store: Path) -> None:
        """Keep events and preferences of two people."""
        store.mkdir()
        with opened(store) as log:
            for who in ("ann", "bob"):
                log.add([Event("click", NOW_MS - n * 20 * DAY_MS, user_id=who, products=(f"P{n}",)) for n in range(5)])
                log.people.put(log.person(who), {"personalisation": True}, {"brands": ["Cobalt"]})
            log.uses.add("snapshot", "s1", [log.person("ann"), log.person("bob")])

    def act(self, store: Path) -> None:
        """Erase one."""
        with opened(store) as log:
            log.erase(log.person("ann"))
            say("erased")

    def check(self, store: Path, said: bytes) -> None:
        """Once it was said, nothing of her is anywhere; asked again, nothing is; the other is untouched."""
        with opened(store) as log:
            ann, bob = log.person("ann"), log.person("bob")
            if b"erased" in said:
                self._gone(log, ann)
            log.erase(ann)
            self._gone(log, ann)
            assert len(log.history(bob)) == 5
            kept = log.people.person(bob)
            assert kept is not None
            assert kept.stated["brands"] == ["Cobalt"]
            assert [use.name for use in log.uses.of(bob)] == ["s1"]
        key = bytes.fromhex(ann)
        for file in (store / "events").glob("20*.sqlite*"):
            assert key not in file.read_bytes(), file.name

    @staticmethod
    def _gone(log: EventLog, person: str) -> None:
        assert log.history(person) == []
        assert log.people.person(person) is None
        assert log.uses.of(person) == []


class Prune(Scene):
    """Old events go."""

    def prepare(self, store: Path) -> None:
        """Keep events of four months."""
        store.mkdir()
        with closing(EventLog(store / "events", consent="assumed", keep_days=1000)) as log:
            log.add([Event("search", NOW_MS - n * 30 * DAY_MS, client_id="d", query="red tent", event_id=f"s{n}") for n in range(5)])

    def act(self, store: Path) -> None:
        """Prune what is older than fifty days, and the words of what is older than ten."""
        with closing(EventLog(store / "events", consent="assumed", keep_days=50)) as log:
            log.prune(10)
            say("pruned")

    def check(self, store: Path, said: bytes) -> None:
        """What is young is there; after the next time, only that is."""
        with closing(EventLog(store / "events", consent="assumed", keep_days=50)) as log:
            young = [event for event in log.read() if event.time_ms >= NOW_MS - 50 * DAY_MS]
            assert len(young) == 2
            assert any(event.query == "red tent" for event in young)
            if b"pruned" not in said:
                log.prune(10)
            assert sorted(event.query or "" for event in log.read()) == ["", "red tent"]


class Consent(Scene):
    """People say what they allow and like."""

    def act(self, store: Path) -> None:
        """Say it, eight times."""
        with opened(store) as log:
            for n in range(8):
                log.people.put(log.person(f"u{n % 3}"), {"improvement": bool(n % 2)}, {"brands": [f"B{n}"]})
                say(f"put {n};")

    def check(self, store: Path, said: bytes) -> None:
        """The last that was acknowledged holds, or the one after it."""
        acknowledged = said.count(b"put ")
        with opened(store) as log:
            for who in range(3):
                mine = [n for n in range(8) if n % 3 == who]
                kept = log.people.person(log.person(f"u{who}"))
                held = int(kept.stated["brands"][0][1:]) if kept else -1
                done = [n for n in mine if n < acknowledged]
                assert held == (done[-1] if done else -1) or (held == acknowledged and held in mine)
                log.people.put(log.person(f"u{who}"), {"improvement": True})
