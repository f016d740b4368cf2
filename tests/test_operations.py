"""The dashboard and the alerts speak of metrics there are, and every alert has a section that says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from api.app import create_app
from indexer.reindex import reindex
from shop import random_products, toy_settings, write_feed

FOLDER = Path(__file__).parents[1] / "docs" / "operations"
ALERTS = (FOLDER / "alerts.yml").read_text("utf-8")
NOT_OURS = {"up"}
FUNCTIONS = {"sum", "rate", "increase", "histogram_quantile", "by", "le", "offset", "route", "status", "stage", "outcome", "read_by"}


def names_in(expression: str) -> set[str]:
    """The metrics of an expression: what is left without strings, ranges, labels and functions."""
    plain = re.sub(r'"[^"]*"|\[[^\]]*\]|\{[^}]*\}|\b\d[\w.]*', " ", expression)
    return set(re.findall(r"[a-z_]{2,}", plain)) - FUNCTIONS - NOT_OURS


def labels_in(expression: str) -> set[str]:
    inside = " ".join(re.findall(r"\{([^}]*)\}", expression))
    return set(re.findall(r"(\w+)\s*=~?", inside)) - {"job"}


def expressions() -> list[str]:
    board = json.loads((FOLDER / "grafana.json").read_text("utf-8"))
    found = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return found + [" ".join(e.split()) for e in re.findall(r"expr: (?:>-\n)?(.*?)\n        (?:for|labels):", ALERTS, re.DOTALL)]


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    folder = tmp_path_factory.mktemp("operations")
    settings = toy_settings(folder / "store", consent="assumed", generator="template")
    reindex(write_feed(random_products(10), folder / "feed.jsonl"), settings)
    with TestClient(create_app(settings)) as client:
        client.get("/v1/search", params={"q": "tent"})
        client.post("/v1/explain", json={"q": "tent", "ids": ["P00001"]})
        client.post("/v1/guide", json={"text": "tent"})
        client.post("/v1/events", json={"action_name": "click", "client_id": "a-device-of-somebody"})
        text = client.get("/metrics").text
    return {s.name: set(s.labels) for family in text_string_to_metric_families(text) for s in family.samples}


@pytest.mark.parametrize("expression", expressions())
def test_what_is_drawn_or_watched_is_exposed(exposed: dict[str, set[str]], expression: str) -> None:
    names = names_in(expression)
    assert names or "up{" in expression
    assert names <= set(exposed)
    assert labels_in(expression) <= set().union(*(exposed[name] for name in names))


def test_every_metric_is_drawn(exposed: dict[str, set[str]]) -> None:
    told = " ".join(expressions())
    families = {re.sub(r"_(bucket|count|sum|created|total)$", "", name) for name in exposed}
    assert {f for f in families if f not in told} == {"snapshot_info"}


def test_every_alert_says_what_to_do() -> None:
    alerts = re.findall(r"alert: (\w+)", ALERTS)
    assert alerts == re.findall(r"^## (\w+)$", (FOLDER / "runbooks.md").read_text("utf-8"), re.MULTILINE)
    assert re.findall(r"runbooks\.md#(\w+)", ALERTS) == [alert.lower() for alert in alerts]
    assert len(expressions()) >= len(alerts) + 10
