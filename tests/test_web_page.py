"""What the search page does, in a real Chromium, against answers built with the wire models."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed; install daogou[dev] to test the page")

from playwright.sync_api import Browser, Page, expect

from browsing import (  # noqa: F401
    api_fixture,
    box,
    browser_fixture,
    cards,
    page_fixture,
    parameters,
    settled,
    troubles_fixture,
    visit,
)
from engine.schema import Money
from fake_api import HOSTILE, FakeApi

pytestmark = pytest.mark.browser


def test_searching_shows_marked_products_a_count_and_a_title(page: Page, api: FakeApi) -> None:
    visit(page, api)
    box(page).fill("summit waterproof")
    box(page).press("Enter")
    settled(page, "32 products")
    expect(page).to_have_title("summit waterproof · daogou")
    first = cards(page).first
    # Before the match stand three code points that are five UTF-16 units.
    assert first.locator("h3 mark").all_inner_texts() == ["Summit", "waterproof"]
    expect(first.get_by_role("heading").get_by_role("link")).to_have_attribute("href", "https://shop.example/emoji")
    expect(first.locator(".price")).to_contain_text("$79.00")
    expect(first.locator("s")).to_have_text("$129.00")
    expect(first.locator(".stock")).to_have_text("In stock")
    expect(first.locator(".attributes")).to_contain_text("0.48 kg")
    assert parameters(page)["q"] == ["summit waterproof"]


def test_hostile_text_stays_text(page: Page, api: FakeApi) -> None:
    visit(page, api, "/?q=kettle")
    expect(cards(page).locator("h3")).to_have_text(HOSTILE)
    assert cards(page).locator("img, script, b, i, h3 a").count() == 0
    expect(page.get_by_role("checkbox", name='"><b>Evil</b>')).to_be_visible()
    page.get_by_role("button", name="Why this").click()
    expect(page.locator(".citation dd").first).to_have_text(HOSTILE)
    visit(page, api, "/?q=" + quote(HOSTILE) + "&f=" + quote("brand:=<img src=x>") + "&lang=en")
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    assert page.evaluate("window.pwned") is None


def test_pictures_fall_back_to_a_monogram(page: Page, api: FakeApi) -> None:
    visit(page, api, "/?q=" + quote("软壳登山外套 Summit"))
    summit, softshell = cards(page).first, cards(page).last
    expect(summit.locator("img")).to_have_js_property("naturalWidth", 1)
    expect(softshell.locator(".monogram")).to_have_text("山")
    assert softshell.locator("img").count() == 0


def test_suggestions_by_keyboard(page: Page, api: FakeApi) -> None:
    visit(page, api)
    box(page).press_sequentially("wat")
    options = page.get_by_role("listbox").get_by_role("option")
    expect(options).to_have_count(3)
    expect(box(page)).to_have_attribute("aria-expanded", "true")
    assert options.first.locator("mark").inner_text() == "wat"
    for key, chosen in (("ArrowDown", 0), ("ArrowDown", 1), ("End", 2), ("Home", 0), ("ArrowUp", None), ("ArrowUp", 2)):
        box(page).press(key)
        selected = page.locator("#suggestions [aria-selected=true]")
        expect(selected).to_have_count(0 if chosen is None else 1)
        if chosen is not None:
            assert box(page).get_attribute("aria-activedescendant") == options.nth(chosen).get_attribute("id")
    box(page).press("Escape")
    expect(page.get_by_role("listbox")).to_be_hidden()
    expect(box(page)).to_have_value("wat")
    box(page).press("ArrowDown")
    expect(options).to_have_count(3)
    box(page).press("ArrowDown")
    box(page).press("Enter")
    settled(page, "32 products")
    expect(box(page)).to_have_value("waterproof jacket")
    expect(box(page)).to_have_attribute("aria-expanded", "false")


def test_half_typed_chinese_is_neither_suggested_nor_searched(page: Page, api: FakeApi) -> None:
    visit(page, api)
    before = len(api.requests)
    box(page).focus()
    typing = """(q, [text, keys]) => {
      q.dispatchEvent(new CompositionEvent('compositionstart', {bubbles: true}));
      q.value = text;
      q.dispatchEvent(new InputEvent('input', {bubbles: true, isComposing: true, data: text}));
      const common = {bubbles: true, cancelable: true};
      for (const init of keys) q.dispatchEvent(new KeyboardEvent('keydown', {...common, ...init}));
      q.form.requestSubmit();
    }"""
    box(page).evaluate(typing, ["fangshui", [{"key": "Enter", "isComposing": True}, {"key": "Enter", "keyCode": 229}]])
    page.wait_for_timeout(400)  # longer than the pause before suggesting
    assert api.requests[before:] == []
    box(page).evaluate("""q => {
      q.value = '防水';
      q.dispatchEvent(new CompositionEvent('compositionend', {bubbles: true, data: '防水'}));
    }""")
    expect(page.get_by_role("listbox").get_by_role("option")).to_have_count(1)
    assert [given["q"] for where, given in api.requests[before:]] == ["防水"]
    box(page).press("Enter")
    settled(page, "1 product")


def test_facets_narrow_widen_and_the_back_button_restores(page: Page, api: FakeApi) -> None:
    visit(page, api, "/?q=jacket&lang=en")
    settled(page, "31 products")
    page.get_by_role("group", name="Brand").get_by_role("checkbox", name="Karst").check()
    settled(page, "10 products")
    # The other brands stay on offer, with what choosing them would add.
    assert api.asked("/v1/search")[-1]["filter_by"] == "brand:=`Karst`"
    page.get_by_role("checkbox", name="Fjellvik (10 products)").check()
    settled(page, "20 products")
    page.get_by_role("group", name="Availability").get_by_role("checkbox", name="Out of stock").check()
    settled(page, "5 products")
    assert (
        api.asked("/v1/search")[-1]["filter_by"]
        == "(brand:=`Karst` || brand:=`Fjellvik`) && availability:=`out_of_stock`"
    )
    assert page.evaluate("document.activeElement.dataset.key") == "facet-availability:=`out_of_stock`"
    page.go_back()
    settled(page, "20 products")
    expect(page.get_by_role("checkbox", name="Out of stock")).not_to_be_checked()
    page.reload()
    settled(page, "20 products")
    expect(page.get_by_role("checkbox", name="Karst")).to_be_checked()
    page.get_by_role("button", name="Remove Brand Karst").click()
    settled(page, "10 products")
    for count in ("20 products", "10 products", "31 products"):
        page.go_back()
        settled(page, count)


def test_removing_what_was_understood_edits_the_query(page: Page, api: FakeApi) -> None:
    visit(page, api, "/?lang=en&q=" + quote("🧥 jacket under $50, hiking"))
    settled(page, "3 products")
    page.get_by_role("button", name="Remove Price under $50").click()
    settled(page, "31 products")
    expect(box(page)).to_have_value("🧥 jacket, hiking")
    page.go_back()
    settled(page, "3 products")
    expect(box(page)).to_have_value("🧥 jacket under $50, hiking")
    page.get_by_role("checkbox", name="Norrland").check()
    page.get_by_role("button", name="Clear all").click()
    settled(page, "31 products")
    expect(page.get_by_role("list", name="Applied")).to_have_count(0)


def test_price_range_and_sort(page: Page, api: FakeApi) -> None:
    visit(page, api, "/?lang=en")
    price = page.get_by_role("group", name="Price")
    price.get_by_label("From").fill("90")
    price.get_by_label("To").fill("50")
    price.get_by_role("button", name="Apply").click()
    settled(page, "10 products")
    assert api.asked("/v1/search")[-1]["filter_by"] == "price:[50..90] && currency:=USD"
    expect(page.get_by_role("button", name="Remove Price $50 – $90")).to_be_visible()
    page.get_by_label("Sort by").select_option("Price, high to low")
    expect(cards(page).first.locator(".price")).to_contain_text("$90.00")
    page.get_by_label("Sort by").select_option("Price, low to high")
    expect(cards(page).first.locator(".price")).to_contain_text("$50.00")
    assert parameters(page) == {"price": ["50..90"], "currency": ["USD"], "sort": ["price:asc"], "lang": ["en"]}
    price.get_by_label("Currency").select_option("CNY")
    price.get_by_label("From").fill("400")
    price.get_by_label("To").fill("")
    price.get_by_label("To").press("Enter")
    settled(page, "1 product")
    assert api.asked("/v1/search")[-1]["filter_by"] == "price:>=400 && currency:=CNY"


def test_pages_are_links_that_do_not_overlap(page: Page, api: FakeApi) -> None:
    visit(page, api, "/?q=jacket&lang=en")
    seen = cards(page).locator("h3").all_inner_texts()
    pages = page.get_by_role("navigation", name="Pages")
    assert parse_qs(urlsplit(pages.get_by_role("link", name="Page 3").get_attribute("href") or "").query)["page"] == [
        "3"
    ]
    for number in ("2", "3"):
        pages.get_by_role("link", name="Next").click()
        expect(pages.get_by_role("link", name=f"Page {number}")).to_have_attribute("aria-current", "page")
        seen += cards(page).locator("h3").all_inner_texts()
    assert len(seen) == len(set(seen)) == 31
    expect(pages.get_by_role("link", name="Next")).to_have_count(0)
    page.go_back()
    expect(pages.get_by_role("link", name="Page 2")).to_have_attribute("aria-current", "page")
    visit(page, api, "/?q=jacket&page=9&lang=en")
    page.get_by_role("link", name="To the first page").click()
    expect(cards(page)).to_have_count(12)


def test_language_switch_is_remembered(page: Page, api: FakeApi) -> None:
    api.at_least = True
    visit(page, api, "/?q=jacket")
    expect(page.get_by_role("status")).to_have_text("At least 31 products")
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("status")).to_have_text("至少 31 件商品")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.get_by_role("combobox", name="搜索商品")).to_be_visible()
    expect(page.get_by_role("button", name="中文")).to_have_attribute("aria-pressed", "true")
    assert parameters(page) == {"q": ["jacket"], "lang": ["zh"]}
    visit(page, api, "/?q=jacket")
    expect(page.get_by_role("status")).to_have_text("至少 31 件商品")
    visit(page, api, "/?q=jacket&lang=en")
    expect(page.get_by_role("status")).to_have_text("At least 31 products")


def test_first_language_is_the_browsers(browser: Browser, api: FakeApi) -> None:
    context = browser.new_context(locale="zh-CN")
    chinese = context.new_page()
    visit(chinese, api)
    expect(chinese.get_by_role("heading", level=1)).to_have_text("您想买什么？")
    context.close()


def test_both_languages_have_the_same_words_and_money_agrees_with_the_engine(page: Page, api: FakeApi) -> None:
    visit(page, api)
    keys = page.evaluate("""async () => {
      const {STRINGS} = await import('/static/strings.js');
      return Object.values(STRINGS).map((t) => Object.keys(t).sort());
    }""")
    assert keys[0] == keys[1]
    table = page.evaluate("""async () => {
      const {decimals} = await import('/static/format.js');
      return Object.fromEntries(Intl.supportedValuesOf('currency').map((c) => [c, decimals(c)]));
    }""")
    assert table == {currency: Money.decimals(currency) for currency in table}
    shown = page.evaluate("""async () => {
      const {money} = await import('/static/format.js');
      const given = [[1980, 'JPY', 'en'], [45900, 'CNY', 'zh'], [1234500, 'KWD', 'en']];
      return given.map(([amount, currency, lang]) => money({amount, currency}, lang));
    }""")
    assert [text.replace("\xa0", " ") for text in shown] == ["¥1,980", "¥459.00", "KWD 1,234.500"]


def test_reasons_appear_one_after_the_other_with_what_they_cite(page: Page, api: FakeApi) -> None:
    api.gate._value = 0  # type: ignore[attr-defined]
    visit(page, api, "/?q=summit&lang=en")
    button = page.get_by_role("button", name="Why this")
    button.click()
    region = page.get_by_role("region", name="Why this: 🏔️🧥 Summit waterproof jacket")
    claims = region.locator(".claim")
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(region).to_have_attribute("aria-busy", "true")
    expect(claims).to_have_count(0)
    api.gate.release()
    expect(claims).to_have_count(1)
    expect(claims.first).to_contain_text("Its title says it is waterproof.")
    expect(claims.first.locator(".citation")).to_have_text("Title🏔️🧥 Summit waterproof jacket")
    api.gate.release()
    expect(claims).to_have_count(2)
    assert claims.last.locator(".citation").all_text_contents() == ["Sale price79.00 USD", "BrandNorrland"]
    expect(region).to_have_attribute("aria-busy", "true")
    api.gate.release()
    expect(region).to_contain_text("2 sentences checked against the catalogue, 1 dropped.")
    expect(region).to_have_attribute("aria-busy", "false")
    button.click()
    expect(region).to_be_hidden()
    button.click()
    expect(claims).to_have_count(2)
    assert api.asked("/v1/explain") == [{"q": "summit", "language": "en"}]


def test_similar_products_and_back(page: Page, api: FakeApi) -> None:
    visit(page, api, "/?q=umbrella&lang=en")
    page.get_by_role("link", name="Similar to Folding umbrella waterproof").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Similar to “Folding umbrella waterproof”")
    expect(cards(page)).to_have_count(5)
    page.get_by_role("link", name="Back to the results").click()
    settled(page, "1 product")


def test_problems_are_shown_and_retried(page: Page, api: FakeApi, troubles: list[str]) -> None:
    api.fail_next = 1
    page.goto(api.origin + "/?q=jacket&lang=en")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The snapshot is being replaced. Ask again in a moment.")
    assert cards(page).count() == 0
    alert.get_by_role("button", name="Try again").click()
    settled(page, "31 products")
    expect(page.locator("#banner")).to_be_empty()
    page.route("**/v1/search?*", lambda route: route.abort())
    box(page).fill("umbrella")
    box(page).press("Enter")
    expect(alert).to_contain_text("The server did not answer.")
    page.unroute("**/v1/search?*")
    alert.get_by_role("button", name="Try again").click()
    settled(page, "1 product")
    assert all("Failed to load resource" in trouble for trouble in troubles)
    troubles.clear()


def test_a_search_that_finds_nothing_offers_ways_out(page: Page, api: FakeApi) -> None:
    visit(page, api, "/?lang=en&f=" + quote("brand:=`Karst`") + "&q=" + quote("submarine umbrella under $5"))
    settled(page, "0 products")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing matches “submarine umbrella under $5”")
    expect(page.get_by_role("button", name="Search without Price under $5")).to_be_visible()
    expect(page.get_by_role("link", name="umbrella", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="waterproof hiking jacket under $80")).to_be_visible()
    page.get_by_role("button", name="Search without Brand Karst").click()
    expect(page.get_by_role("button", name="Search without Brand Karst")).to_have_count(0)
    page.get_by_role("button", name="Search without Price under $5").click()
    settled(page, "1 product")
    expect(box(page)).to_have_value("submarine umbrella")
