"""Logs of other systems, read as they are and brought into the event log."""
