"""A real Chromium for the tests of the search page: fixtures, and the page as its tests speak of it.

A test module imports the fixtures by their functions' names. ``page`` fails its test when the browser
complained of anything: a script error, a refused picture, a breach of the content-security policy.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed; install daogou[dev] to test the page")

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Route, expect, sync_playwright

from fake_api import FakeApi

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6364f8cf500f0003860180a4d2a1d40000000049454e44ae426082"
)


@pytest.fixture(name="browser", scope="module")
def browser_fixture() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH; install the package 'chromium' to test the page")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(name="api")
def api_fixture() -> Iterator[FakeApi]:
    with FakeApi() as server:
        yield server


@pytest.fixture(name="troubles")
def troubles_fixture() -> list[str]:
    """What the browser complained of; every test ends with none unless it empties this."""
    return []


@pytest.fixture(name="page")
def page_fixture(browser: Browser, api: FakeApi, troubles: list[str]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US", reduced_motion="reduce")
    context.set_default_timeout(10_000)
    opened = context.new_page()
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on("console", lambda message: _note(message, troubles))
    opened.route("https://shop.example/**", _picture)
    yield opened
    context.close()
    assert troubles == []


def _note(message: ConsoleMessage, troubles: list[str]) -> None:
    if message.type == "error" and "shop.example/missing.png" not in (message.location or {}).get("url", ""):
        troubles.append(message.text)


def _picture(route: Route) -> None:
    if "missing" in route.request.url:
        route.fulfill(status=404)
    else:
        route.fulfill(body=PIXEL, content_type="image/png")


def visit(page: Page, api: FakeApi, address: str = "/") -> None:
    page.goto(api.origin + address)
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#count")).not_to_be_empty()


def parameters(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def box(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Search products")


def cards(page: Page) -> Locator:
    return page.get_by_role("article")


def settled(page: Page, count: str) -> None:
    expect(page.get_by_role("status")).to_have_text(count)
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
