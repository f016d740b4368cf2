"""What shoppers did, kept durably and without personal data that anyone could read."""

from engine.events.event import KINDS, Event, EventKind, StoredEvent, invalid
from engine.events.log import Added, EventLog, Pruned
from engine.events.people import PURPOSES, Person, Purpose

__all__ = ["KINDS", "PURPOSES", "Added", "Event", "EventKind", "EventLog", "Person", "Pruned", "Purpose", "StoredEvent", "invalid"]
