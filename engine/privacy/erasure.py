"""A person's rights over what is kept of them: to see all of it, and to have it erased.

In: the event log and an id as the shop knows it, of a user or of a device. Out: :class:`Held`, everything that is kept, or a signed
:class:`Receipt` of what was erased and what saw them before. Knows nothing of HTTP.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from engine.events import EventLog, StoredEvent

__all__ = ["Held", "Receipt", "SeenBy", "erase_person", "export_person", "verify_receipt"]

_MOST = 1_000_000
_STAYS = [
    "The keyed hash of the id and the time of the erasure, in forgotten.jsonl, so that a backup or an old log that is put back "
    "does not bring the person back.",
    "Models and snapshots listed in seen_by, made before: train and index again to have them without this person.",
]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SeenBy(_Record):
    """Something that was made from events of a person: a training set, a model or a snapshot."""

    kind: str
    name: str
    made: str


class Held(_Record):
    """Everything that is kept of a person, under keyed hashes in place of ids."""

    person: list[str]
    consent: dict[str, bool] = {}
    preferences: dict[str, Any] = {}
    events: list[dict[str, Any]] = []
    unread: list[str] = Field([], description="Periods whose file is damaged: not all that was kept of the person then is in here.")
    seen_by: list[SeenBy] = []


class Receipt(_Record):
    """What an erasure did. ``signature`` proves that this store wrote it."""

    receipt: str
    at: str
    events: dict[str, int] = Field(description="Erased events by kind.")
    preferences: bool = Field(description="Whether consent and stated preferences were kept, and are erased.")
    seen_by: list[SeenBy] = Field(description="What had been made from their events; they are taken off these lists.")
    stays: list[str] = _STAYS
    signature: str = ""


def export_person(log: EventLog, user_id: str = "", client_id: str = "") -> Held:
    """Return everything that is kept of a user, of a device, or of both."""
    people = _people(log, user_id, client_id)
    consent: dict[str, bool] = {}
    stated: dict[str, Any] = {}
    for person in people:
        if kept := log.people.person(person):
            consent |= kept.consent
            stated |= kept.stated
    events = sorted(_events(log, people), key=lambda e: (e.time_ms, e.kind, e.products))
    return Held(
        person=people,
        consent=consent,
        preferences=stated,
        events=[_plain(e) for e in events],
        unread=sorted({*log.unread(), *log.damaged()}),
        seen_by=_seen(log, people),
    )


def erase_person(log: EventLog, user_id: str = "", client_id: str = "") -> Receipt:
    """Erase a user, a device, or both, and return the receipt.

    Raises:
        EventLogError: not everything could be erased; there is no receipt then.
    """
    people = _people(log, user_id, client_id)
    kinds = Counter(event.kind for event in _events(log, people))
    seen = _seen(log, people)
    kept = False
    for person in people:
        kept |= log.erase(person)[1]
    at, erased = _iso(int(1000 * time.time())), dict(sorted(kinds.items()))
    receipt = Receipt(receipt=uuid.uuid4().hex, at=at, events=erased, preferences=kept, seen_by=seen)
    return receipt.model_copy(update={"signature": _signature(log, receipt)})


def verify_receipt(log: EventLog, receipt: Receipt) -> bool:
    """Return whether a receipt is this store's, and unchanged."""
    return _signature(log, receipt) == receipt.signature


def _people(log: EventLog, user_id: str, client_id: str) -> list[str]:
    """Return the hashes of a user, of a device, and of a visit that no device was named with."""
    found = [log.person(user_id) if user_id else "", log.person("", client_id), log.person("", "", client_id)]
    return [person for person in found if person]


def _events(log: EventLog, people: list[str]) -> set[StoredEvent]:
    return {event for person in people for event in log.history(person, _MOST)}


def _seen(log: EventLog, people: list[str]) -> list[SeenBy]:
    uses = dict.fromkeys(use for person in people for use in log.uses.of(person))
    return [SeenBy(kind=use.kind, name=use.name, made=_iso(use.at_ms)) for use in uses]


def _plain(event: StoredEvent) -> dict[str, Any]:
    """Return an event as values that a person can read, without what is empty."""
    names = ("kind", "query", "products", "position", "quantity", "rating", "query_id", "session", "order", "guessed")
    plain: dict[str, Any] = {"time": _iso(event.time_ms)}
    plain |= {name: list(value) if isinstance(value, tuple) else value for name in names if (value := getattr(event, name))}
    plain |= {"variants": dict(event.variants)} if event.variants else {}
    return plain | ({"value": str(event.value)} if event.value else {})


def _signature(log: EventLog, receipt: Receipt) -> str:
    return log.keys.hashed("receipt", receipt.model_copy(update={"signature": ""}).model_dump_json()).hex()


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")
