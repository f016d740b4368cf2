"""Embedding on Ray gives the bytes that embedding here gives."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import EncoderError, MissingExtraError
from engine.index.snapshot import open_snapshot
from engine.settings import load_settings
from indexer.reindex import reindex
from shop import files_of, random_products, toy_settings, write_feed

needs_ray = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("ray") is None, reason="the extra ray is not installed"
)


@needs_ray
@pytest.mark.slow
def test_the_cluster_gives_the_same_snapshot(tmp_path: Path) -> None:
    """With the model that comes along, over several groups; then with a change, of which only what is new is embedded."""
    products = random_products(150)
    feed = write_feed(products, tmp_path / "feed.jsonl")
    here = load_settings(store=tmp_path / "here", max_tokens=32)
    there = load_settings(store=tmp_path / "there", max_tokens=32, embed_engine="ray", ray_folder=f"file://{tmp_path}/texts")
    one, other = reindex(feed, here), reindex(feed, there)
    assert (one.embedded, other.embedded) == (150, 150)
    assert files_of(here.store) == files_of(there.store)
    changed = [replace(p, title=p.title + " anew") for p in products[:3]] + products[3:]
    write_feed(changed, feed)
    there = there.model_copy(update={"ray_folder": ""})
    assert [reindex(feed, settings).embedded for settings in (here, there)] == [3, 3]
    assert files_of(here.store) == files_of(there.store)
    assert list((tmp_path / "texts").iterdir()) == []
    assert not list(there.store.glob("*.tmp"))


@needs_ray
def test_a_cluster_that_is_not_there_is_said_and_nothing_is_published(tmp_path: Path) -> None:
    feed = write_feed(random_products(5), tmp_path / "feed.jsonl")
    settings = toy_settings(tmp_path / "store", embed_engine="ray", ray_address="127.0.0.1:9")
    with pytest.raises(EncoderError, match=r"127\.0\.0\.1:9"):
        reindex(feed, settings)
    assert not (settings.store / "CURRENT").exists()


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    feed = write_feed(random_products(5), tmp_path / "feed.jsonl")
    with pytest.raises(MissingExtraError, match=r"daogou\[ray\]"):
        reindex(feed, toy_settings(tmp_path / "store", embed_engine="ray"))


def test_nothing_to_embed_needs_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = write_feed(random_products(5), tmp_path / "feed.jsonl")
    reindex(feed, toy_settings(tmp_path / "store"))
    monkeypatch.setitem(sys.modules, "ray", None)
    assert reindex(feed, toy_settings(tmp_path / "store", embed_engine="ray")).embedded == 0
    assert open_snapshot(tmp_path / "store").manifest.products == 5
