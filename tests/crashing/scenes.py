"""What is done to a store while it is watched, and what must be true of whatever is left of it.

A scene prepares a store, acts on it in a process of its own, and checks a folder that a crash left, given what the process had
said until then on standard output and over sockets. ``python -m crashing.scenes NAME STORE`` acts.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from engine.engine import Engine
from engine.events import Event, EventLog
from engine.index.snapshot import current_id, list_snapshots
from engine.schema import SearchRequest
from engine.settings import Settings
from indexer.events.importing import import_events
from indexer.publish import rollback
from indexer.reindex import reindex
from shop import random_products, toy_settings, write_feed

__all__ = ["CARELESS", "SCENES", "Scene", "scene_of"]

DAY_MS = 86_400_000
NOW_MS = int(time.time() * 1000) // DAY_MS * DAY_MS
SIZES = {"old": 40, "new": 50}


class Scene:
    """One thing that is done."""

    def prepare(self, store: Path) -> None:
        """Make the store as it is before."""
        store.mkdir(parents=True)

    def act(self, store: Path) -> None:
        """Do it, in the process that is watched."""
        raise NotImplementedError

    def drive(self, store: Path, process: subprocess.Popen[bytes]) -> None:
        """Do what has to be done from outside while it runs."""

    def check(self, store: Path, said: bytes) -> None:
        """Check what a crash left: first what is there, then that the next run works."""
        raise NotImplementedError


def settings_of(store: Path, **changes: object) -> Settings:
    """Return the settings of a watched store."""
    return toy_settings(store, device="cpu", consent="assumed", min_buyers=2, **changes)


def feed(store: Path, name: str) -> Path:
    """Return a feed of 40 or of 50 products beside a store."""
    path = store.parent / f"{store.name}.{name}.jsonl"
    return write_feed(random_products(SIZES[name], seed=SIZES[name]), path)


def products_of(store: Path) -> int:
    """Return how many products a store serves, all of them found; 0 where it never served."""
    if not (store / "CURRENT").exists():
        return 0
    with closing(Engine.open(settings_of(store))) as engine:
        found = engine.search(SearchRequest(q="", per_page=0)).found
        assert found == engine.product_count
        assert engine.search(SearchRequest(q="waterproof jacket")).hits
        return engine.product_count


def nothing_left(store: Path) -> None:
    """Check that no work folder or draft is left, and no snapshot without a manifest."""
    assert not list(store.glob("*.tmp"))
    assert {p.name for p in (store / "snapshots").iterdir()} == set(list_snapshots(store))


class FirstIndex(Scene):
    """A store is made."""

    def act(self, store: Path) -> None:
        """Index the old feed."""
        reindex(feed(store, "old"), settings_of(store))
        say("published")

    def check(self, store: Path, said: bytes) -> None:
        """It serves all of the feed or was never there; the next run makes it."""
        assert products_of(store) in ({40} if b"published" in said else {0, 40})
        reindex(feed(store, "old"), settings_of(store))
        assert products_of(store) == 40
        nothing_left(store)


class Reindex(Scene):
    """A feed is indexed into a store that serves and knows orders; only one snapshot is kept."""

    def prepare(self, store: Path) -> None:
        """Index the old feed, with the orders of six people in the event log."""
        reindex(feed(store, "old"), settings_of(store))
        with closing(EventLog.open(settings_of(store))) as log:
            log.add(orders(), lambda product: True)

    def act(self, store: Path) -> None:
        """Index the new feed."""
        reindex(feed(store, "new"), settings_of(store, keep_snapshots=2))
        say("published")

    def check(self, store: Path, said: bytes) -> None:
        """The old snapshot or the new one serves, whole; the events are there; the next run brings the new one."""
        assert products_of(store) in ({50} if b"published" in said else {40, 50})
        with closing(EventLog.open(settings_of(store))) as log:
            assert log.count()["purchase"] == len(orders())
        reindex(feed(store, "new"), settings_of(store, keep_snapshots=2))
        assert products_of(store) == 50
        nothing_left(store)


class Rollback(Scene):
    """The shop goes back to the snapshot before."""

    def prepare(self, store: Path) -> None:
        """Index both feeds."""
        for name in ("old", "new"):
            reindex(feed(store, name), settings_of(store))

    def act(self, store: Path) -> None:
        """Go back."""
        rollback(store)
        say("went back")

    def check(self, store: Path, said: bytes) -> None:
        """Either serves; going to a named one works."""
        assert products_of(store) in ({40} if b"went back" in said else {40, 50})
        for name in list_snapshots(store):
            if name != current_id(store):
                rollback(store, name)
        assert products_of(store) in {40, 50}


def orders() -> list[Event]:
    """Return purchases of six people in two months."""
    return [
        Event("purchase", NOW_MS - (n % 2) * 40 * DAY_MS, user_id=f"u{n % 6}", products=(f"P{n % 7:05d}",), order_id=f"o{n % 9}", event_id=f"e{n}")
        for n in range(24)
    ]


def clicks(batch: int) -> list[Event]:
    """Return five clicks in two months."""
    return [
        Event("click", NOW_MS - (n % 2) * 40 * DAY_MS, client_id=f"device-{batch}-{n}", products=(f"P{n:05d}",), event_id=f"c{batch}-{n}")
        for n in range(5)
    ]


def whose(batch: int) -> set[str]:
    """Return the devices of a batch."""
    return {event.client_id for event in clicks(batch)}


@contextmanager
def opened(store: Path) -> Iterator[EventLog]:
    """Open the event log of a store."""
    with closing(EventLog.open(settings_of(store))) as log:
        yield log


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


class Served(Scene):
    """A server takes events, consent and an erasure, one request after the other."""

    def prepare(self, store: Path) -> None:
        """Index the old feed."""
        reindex(feed(store, "old"), settings_of(store))

    def act(self, store: Path) -> None:
        """Serve until told to end."""
        from api.server import serve

        serve(settings_of(store, port=0))

    def drive(self, store: Path, process: subprocess.Popen[bytes]) -> None:
        """Send the requests."""
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(rb"daogou is serving (http://\S+)", line):
                break
        with httpx.Client(base_url=found[1].decode(), timeout=30) as http:  # type: ignore[index]
            for method, path, body in self._requests():
                http.request(method, path, json=body).raise_for_status()
        # strace waits for its child, which is to end by itself
        child = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
        os.kill(int(child.split()[0]), signal.SIGTERM)

    def check(self, store: Path, said: bytes) -> None:
        """Every event that was answered is there, but for those of a person whose erasure is answered or begun."""
        answered = self._requests()[: len(re.findall(rb'{"(?:accepted|consent|receipt)":', said))]
        erased = any(method == "DELETE" for method, *_ in answered)
        begun = any(method == "DELETE" for method, *_ in self._requests()[: len(answered) + 1])
        with opened(store) as log:
            held = {(event.client, event.products[0]) for event in log.read()}
            for method, _, body in answered:
                if method == "POST" and body is not None and not (begun and body["client_id"] == self._WHO[0]):
                    assert (log.person("", body["client_id"]), body["event_attributes"]["object"]["object_id"]) in held
            if erased:
                assert log.history(log.person("", self._WHO[0])) == []
        assert products_of(store) == 40

    _WHO = "device-ann-0123456789", "device-bob-0123456789"

    def _requests(self) -> list[tuple[str, str, dict[str, Any] | None]]:
        """Return what is sent: ten events of two devices, what one of them allows, and its erasure; then two more of the other."""
        events = [
            ("POST", "/v1/events", {
                "action_name": "click", "client_id": self._WHO[n % 2], "event_attributes": {"object": {"object_id": f"P{n:05d}"}},
            })
            for n in range(12)
        ]  # fmt: skip
        allowed = ("PUT", f"/v1/users/{self._WHO[0]}", {"consent": {"improvement": True}})
        return [*events[:9], allowed, ("DELETE", f"/v1/users/{self._WHO[0]}", None), events[9], events[11]]


class Careless(Scene):
    """A file is replaced without being synced: what must be found where anything is looked for."""

    def act(self, store: Path) -> None:
        """Replace it, and say so."""
        for n in range(3):
            (store / "draft").write_text(f"version {n}")
            (store / "draft").replace(store / "file")
            say(f"wrote {n};")

    def check(self, store: Path, said: bytes) -> None:
        """The last version that was said to be written is there."""
        if n := said.count(b"wrote "):
            assert (store / "file").read_text() in (f"version {n - 1}", f"version {n}")


def say(text: str) -> None:
    """Say something at once, past any buffer."""
    os.write(1, text.encode())


SCENES: Mapping[str, Scene] = {
    "first-index": FirstIndex(),
    "reindex": Reindex(),
    "rollback": Rollback(),
    "events": Events(),
    "import": Import(),
    "erase": Erase(),
    "prune": Prune(),
    "consent": Consent(),
    "server": Served(),
}

CARELESS = "careless"
"""No scene of the product's, but one that shows that what is wrong is found."""


def scene_of(name: str) -> Scene:
    """Return a scene by its name."""
    return Careless() if name == CARELESS else SCENES[name]


if __name__ == "__main__":
    scene_of(sys.argv[1]).act(Path(sys.argv[2]))
