"""The search page for everyone: a phone's width, the keyboard, names, contrast, and files fit for a strict policy."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed; install daogou[dev] to test the page")

from playwright.sync_api import Page, expect

from browsing import api_fixture, browser_fixture, page_fixture, troubles_fixture, visit  # noqa: F401
from fake_api import FakeApi

pytestmark = pytest.mark.browser

CONTRAST = """(selectors) => selectors.map((selector) => {
  const node = [...document.querySelectorAll(selector)].find((n) => n.getClientRects().length);
  if (!node) return [selector, 0];
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  let behind = node;
  while (rgb(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
  const [a, b] = [getComputedStyle(node).color, getComputedStyle(behind).backgroundColor].map(rgb).map(light);
  return [selector, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
})"""
TEXTS = [
    "h1",
    "#count",
    ".sort label",
    ".search .go",
    ".langs button[aria-pressed=false]",
    "legend",
    ".choice-count",
    ".amount span",
    ".outline",
    ".chip-label",
    ".chip",
    ".link",
    ".brand",
    ".meta span:last-child",
    "h3 mark",
    ".snippet",
    ".attributes dt",
    ".was",
    ".stock",
    ".why-button",
    ".claim",
    ".citation dt",
    ".why-note",
    ".monogram",
]


@pytest.mark.parametrize(
    "address", ["/?lang=zh", "/?q=kettle+jacket&lang=en", "/?q=submarine+under+%245&lang=en", "/?q=a&similar=zh-1"]
)
def test_a_phones_width_has_no_sideways_scroll(page: Page, api: FakeApi, address: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    visit(page, api, address)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    toggle = page.locator("#open-filters")
    if toggle.is_visible():
        expect(page.locator("#filters")).to_be_hidden()
        toggle.click()
        expect(page.locator("#filters")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_every_control_has_a_name_and_the_keyboard_reaches_it(page: Page, api: FakeApi) -> None:
    visit(page, api, "/?q=jacket+under+%24100&lang=en")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the results")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    visit(page, api, "/?q=jacket+under+%24100&lang=en")
    unnamed = page.evaluate("""() => [...document.querySelectorAll('a, button, input, select')]
      .filter((n) => n.getClientRects().length)
      .filter((n) => !(n.getAttribute('aria-label') || n.labels?.length || n.textContent.trim()))
      .map((n) => n.outerHTML)""")
    assert unnamed == []
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outline = page.evaluate("""() => { const n = document.activeElement;
          return [n.dataset.key || n.id || n.textContent, getComputedStyle(n).outlineStyle]; }""")
        reached.add(name)
        assert outline != "none", f"{name} has the focus and does not show it"
    assert {"q", "Search", "price-min", "price-apply", "sort", "chip-0", "Why this", "Similar"} <= reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(page: Page, api: FakeApi, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    visit(page, api, "/?lang=en&q=" + quote("summit jacket under $100") + "&f=" + quote("brand:=`Norrland`"))
    page.get_by_role("button", name="Why this").first.click()
    expect(page.locator(".why-note")).to_be_visible()
    ratios = page.evaluate(CONTRAST, TEXTS)
    assert {name: round(ratio, 2) for name, ratio in ratios if ratio < 4.5} == {}


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    from api.routes.page import WEB

    files = {path.name: path.read_text(encoding="utf-8") for path in WEB.iterdir()}
    assert "<style" not in files["index.html"]
    assert 'style="' not in files["index.html"]
    assert all("://" not in text.replace("http://www.w3.org/2000/svg", "") for text in files.values())
    scripts = "".join(text for name, text in files.items() if Path(name).suffix == ".js")
    assert not [
        word for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(") if word in scripts
    ]
