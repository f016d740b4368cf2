"""A real server under steady searches while fifty snapshots are published: no request fails, none sees a mix."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from engine.schema import Money
from indexer.reindex import reindex
from serving import real_server
from shop import random_products, toy_settings, write_feed

PUBLISHES = 50


@pytest.mark.slow
def test_searches_across_fifty_publishes(tmp_path: Path) -> None:
    products = random_products(40)
    settings = toy_settings(tmp_path / "store")
    feed = tmp_path / "feed.jsonl"

    def publish(amount: int) -> str:
        return reindex(write_feed([replace(p, price=Money(amount, "USD")) for p in products], feed), settings).snapshot

    prices = {publish(100): 100}
    answers: list[tuple[int, str, set[int]]] = []
    stop = threading.Event()
    with real_server(settings.store, reload_interval_s="0.05", semantic_languages='["en","zh"]') as address:

        def search() -> None:
            with httpx.Client(base_url=address, timeout=20) as client:
                while not stop.is_set():
                    r = client.get("/v1/search", params={"q": "waterproof tent", "facet_by": "brand"})
                    body = r.json()
                    seen = {h["document"]["price"]["amount"] for h in body.get("hits", [])}
                    answers.append((r.status_code, body.get("snapshot", ""), seen))
                    time.sleep(0.01)

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for turn in range(1, PUBLISHES + 1):
                prices[publish(100 + turn)] = 100 + turn
            time.sleep(1)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert {status for status, _, _ in answers} == {200}
    assert all(seen == {prices[snapshot]} for _, snapshot, seen in answers)
    assert len({snapshot for _, snapshot, _ in answers}) > PUBLISHES // 2
    assert answers[-1][1] == max(prices)
