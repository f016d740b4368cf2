"""Nothing here reaches for the network: models that are not on disk are errors, not downloads. No test is timed."""

import os

import pytest
from hypothesis import settings

from fake_engine import FakeEngine, FakeStore

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

settings.register_profile("daogou", deadline=None)
settings.load_profile("daogou")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with slow tests first, so that two processes that share the files end together."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def store():
    """A pointer and the fake engines opened from it; an engine that was misused fails the test."""
    FakeEngine.faults.clear()
    yield FakeStore()
    assert FakeEngine.faults == []
