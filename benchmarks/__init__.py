"""Measurements against a baseline in the same run. Imports everything; nothing imports it."""
