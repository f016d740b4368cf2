"""The whole path as a shopper meets it: the demo feed, indexed; a real server process; a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed; install daogou[dev] to test the page")

from playwright.sync_api import Page, expect

from browsing import box, browser_fixture, cards, page_fixture, parameters, troubles_fixture  # noqa: F401
from engine.settings import load_settings
from indexer.reindex import reindex
from serving import ROOT, real_server

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(name="shop", scope="module")
def shop_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server over the demo shop, indexed with the bundled model."""
    store = tmp_path_factory.mktemp("whole") / "store"
    reindex(ROOT / "examples" / "demo" / "catalogue.tsv", load_settings(store=store))
    with real_server(store) as address:
        yield address


@pytest.fixture(name="api")
def api_fixture() -> None:
    """Nothing is faked here; the page fixture asks for one."""


def ask(page: Page, query: str) -> None:
    box(page).fill(query)
    box(page).press("Enter")
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#count")).not_to_be_empty()


def found(shop: str, **parameters: str) -> int:
    return int(httpx.get(f"{shop}/v1/search", params=parameters).raise_for_status().json()["found"])


def test_a_shopper_finds_narrows_and_asks_why(page: Page, shop: str) -> None:
    page.goto(shop)
    box(page).press_sequentially("waterp")
    expect(page.get_by_role("option").first).to_be_visible()
    query = "waterproof hiking jacket under $80"
    ask(page, query)
    total = found(shop, q=query)
    assert total > 0
    expect(page.get_by_role("status")).to_contain_text(str(total))
    assert parameters(page)["q"] == [query]
    expect(cards(page).first.locator("mark").first).to_be_visible()
    for price in page.locator("article .price").all_inner_texts():
        for amount in re.findall(r"\$([\d.]+)", price)[:1]:
            assert float(amount) <= 80
    chip = page.locator("#chips").get_by_role("button").filter(has_text="80")
    chip.click()
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#chips").get_by_role("button").filter(has_text="80")).to_have_count(0)
    page.go_back()
    expect(page.get_by_role("status")).to_contain_text(str(total))
    cards(page).first.get_by_role("button", name="Why this").click()
    claim = cards(page).first.locator(".citation dd").first
    expect(claim).to_be_visible()
    shown = httpx.get(f"{shop}/v1/search", params={"q": query}).json()["hits"][0]["document"]
    values = " ".join(str(v) for v in shown.values())
    cited = claim.inner_text()
    assert cited in values or re.sub(r"\D", "", cited) in re.sub(r"\D", "", values)


def test_a_facet_narrows_to_what_it_counts(page: Page, shop: str) -> None:
    page.goto(f"{shop}/?q=jacket&lang=en")
    option = page.locator("#filters").get_by_role("checkbox").first
    option.check()
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    chosen = parameters(page)["f"][0]
    expect(page.get_by_role("status")).to_contain_text(str(found(shop, q="jacket", filter_by=chosen)))
    page.reload()
    expect(page.locator("#filters").get_by_role("checkbox", checked=True)).to_have_count(1)


def test_chinese_from_the_query_to_the_explanation(page: Page, shop: str) -> None:
    page.goto(f"{shop}/?lang=zh")
    page.locator("#q").fill("防水登山外套 500元以内")
    page.locator("#q").press("Enter")
    expect(cards(page).first.locator("mark").first).to_be_visible()
    assert "登山外套" in "".join(cards(page).first.locator("h3").all_inner_texts())
    fixed = page.locator("article .attributes, #filters").all_inner_texts()
    assert any("成人" in text for text in fixed)
    assert not any(re.search(r"\b(?:fe)?male\b|\badult\b|\bunisex\b", text) for text in fixed)
    cards(page).first.get_by_role("button", name=re.compile("为什么")).click()
    expect(cards(page).first.locator(".citation dd").first).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "zh-CN"


def test_nothing_found_is_said_and_each_condition_can_be_given_up(page: Page, shop: str) -> None:
    page.goto(f"{shop}/?lang=en")
    query = "waterproof jacket under $1"
    assert found(shop, q=query) == 0
    ask(page, query)
    expect(page.get_by_role("heading", name=f"Nothing matches “{query}”")).to_be_visible()
    expect(page.get_by_role("heading", name="What comes nearest")).to_be_visible()
    expect(cards(page)).to_have_count(3)
    page.get_by_role("button", name=re.compile(r"^Search without .*price", re.IGNORECASE)).click()
    expect(cards(page).first).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text(str(found(shop, q="waterproof jacket")))
    page.go_back()
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    page.get_by_role("link", name="See all products").click()
    expect(box(page)).to_have_value("")
    expect(page.get_by_role("heading", name="Nothing matches")).to_have_count(0)


def test_a_slip_is_corrected_aloud_and_can_be_undone(page: Page, shop: str) -> None:
    page.goto(f"{shop}/?lang=en")
    ask(page, "waterprof jacket")
    expect(page.get_by_text("Also searched for “waterproof”.")).to_be_visible()
    page.get_by_role("link", name="Search only for “waterprof”").click()
    expect(page.get_by_text("Also searched for")).to_have_count(0)
    assert "exact=1" in page.url
    assert found(shop, q="waterprof jacket", correct="false") > 0


def test_what_is_understood_is_shown_as_chips_by_kind(page: Page, shop: str) -> None:
    page.goto(f"{shop}/?lang=en")
    ask(page, "white shirt under $80")
    chips = page.get_by_role("list", name="Applied")
    expect(chips.get_by_role("button", name=re.compile("Remove Price under"))).to_be_visible()
    chips.get_by_role("button", name=re.compile("Remove Colour white")).click()
    expect(box(page)).to_have_value("shirt under $80")


def test_orders_in_a_description_change_nothing(page: Page, shop: str) -> None:
    """A product whose text gives orders to an assistant is explained by its fields like any other."""
    catalogue = (ROOT / "examples" / "demo" / "catalogue.tsv").read_text("utf-8")
    orders = [line.split("\t")[0] for line in catalogue.splitlines() if re.search(r"(?i)ignore (?:all )?previous", line)]
    assert orders
    with httpx.stream("POST", f"{shop}/v1/explain", json={"q": "best", "ids": orders[:1]}, timeout=20) as answer:
        text = "".join(answer.iter_text())
    assert answer.status_code == 200
    assert "event: claim" in text
    assert not re.search(r"(?i)ignore (?:all )?previous", text)


def _said(page: Page) -> str:
    """Wait for the guide's answer and return its last sentences."""
    expect(page.locator(".guide-wait")).to_have_count(0)
    return "\n".join(page.locator(".guide-said").all_inner_texts())


def _turn(page: Page, text: str) -> str:
    page.locator(".guide-form input").fill(text)
    page.keyboard.press("Enter")
    expect(page.locator(".guide-mine").last).to_have_text(text)
    return _said(page)


def test_a_shopper_talks_to_the_guide(page: Page, shop: str) -> None:
    page.goto(f"{shop}/?lang=en")
    page.get_by_role("button", name="Guide").click()
    dialog = page.get_by_role("dialog", name="Guide")
    expect(dialog).to_be_visible()
    assert "15" not in _said(page)
    total = found(shop, q="hiking jacket under $100")
    assert str(total) in _turn(page, "hiking jacket under $100")
    expect(dialog.locator(".guide-product")).to_have_count(3)
    expect(dialog.locator(".guide-need .chip")).to_have_count(2)
    for why in dialog.locator(".guide-why").all_inner_texts():
        assert why
    answer = dialog.locator(".guide-choices button").first
    label, count = re.fullmatch(r"(.+) \((\d+)\)", answer.inner_text()).groups()
    answer.click()
    expect(page.locator(".guide-mine").last).to_have_text(label)
    assert f"{count} product" in _said(page) or count == "1"
    expect(dialog.locator(".guide-need .chip").filter(has_text=label)).to_have_count(1)
    expect(answer).to_be_disabled()
    dialog.locator(".guide-need .chip").filter(has_text=label).click()
    expect(dialog.locator(".guide-need .chip").filter(has_text=label)).to_have_count(0)
    _said(page)
    _turn(page, "compare them")
    expect(dialog.locator(".guide-compared table")).to_be_visible()
    assert "款。" in _turn(page, "想买个保温杯")
    expect(dialog.locator(".guide-need .chip").first).to_have_text("保温杯")
    dialog.get_by_role("button", name="Start over").click()
    expect(dialog.locator(".guide-need")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_the_guide_says_what_went_wrong_and_can_try_again(page: Page, shop: str, troubles: list[str]) -> None:
    page.goto(f"{shop}/?lang=en")
    page.get_by_role("button", name="Guide").click()
    problem = {"title": "Unavailable", "detail": "The shop is closed for a minute.", "status": 503}
    page.route("**/v1/guide", lambda route: route.fulfill(status=503, json=problem, content_type="application/problem+json"))
    assert "closed for a minute" in _turn(page, "tent")
    page.unroute("**/v1/guide")
    page.get_by_role("dialog").get_by_role("button", name="Try again").click()
    expect(page.locator(".guide-product").first).to_be_visible()
    assert [trouble for trouble in troubles if "503" not in trouble] == []
    troubles.clear()  # the browser itself reports the 503


def test_a_product_s_markup_is_text_in_the_guide(page: Page, shop: str) -> None:
    page.goto(f"{shop}/?lang=en")
    page.get_by_role("button", name="Guide").click()
    _turn(page, "<img src=x onerror=alert(1)> tent")
    assert page.locator(".guide-log img").count() == 0
    expect(page.locator(".guide-mine").last).to_contain_text("<img")


def test_personal_results_are_off_until_wanted_and_forgotten_when_not(page: Page, shop: str) -> None:
    page.goto(shop)
    ask(page, "hiking jacket")
    switch = page.get_by_role("button", name="Personal: off")
    expect(switch).to_have_attribute("aria-pressed", "false")
    before, count = page.locator("article h3").all_inner_texts(), page.get_by_role("status").inner_text()
    assert page.evaluate("localStorage.length") == 0
    switch.click()
    expect(page.get_by_role("button", name="Personal: on")).to_be_enabled()
    wanted = cards(page).nth(6)
    name = wanted.locator("h3").inner_text()
    with page.expect_response(lambda r: r.url.endswith("/v1/events") and r.status == 200):
        wanted.get_by_role("button", name="Why this").click()
    ask(page, "hiking jacket ")
    expect(page.locator(".personal-note")).to_have_text("In your own order, by 1 thing you did here.")
    expect(page.get_by_role("article").filter(has_text=name).first.locator(".because")).to_have_text("You looked at this")
    expect(page.get_by_role("status")).to_have_text(count)
    me = page.evaluate("localStorage.getItem('daogou-me')")
    assert len(httpx.get(f"{shop}/v1/users/{me}").json()["events"]) >= 2
    page.get_by_role("button", name="Personal: on").click()
    expect(page.get_by_role("button", name="Personal: off")).to_be_enabled()
    expect(page.locator(".personal-note")).to_have_count(0)
    assert page.locator("article h3").all_inner_texts() == before
    assert page.evaluate("localStorage.getItem('daogou-me')") is None
    held = httpx.get(f"{shop}/v1/users/{me}").json()
    assert (held["events"], held["consent"]) == ([], {})
