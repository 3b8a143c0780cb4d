"""What the page has to do, each check with a fault of the page that has to be noticed by it.

A check gets the browser and the path of a page; it raises AssertionError where the page does not do it.
"""

from pathlib import Path

from tests.browser.browsing import Browser

__all__ = ["CHECKS"]

CHECKS = []
"""Triples of a check, the text of the page that a fault replaces, and by what."""


def check(old, new):
    """Enter the decorated check, with its fault."""

    def enter(function):
        CHECKS.append((function, old, new))
        return function

    return enter


@check("words.every((word) => name.toLowerCase()", "words.some((word) => name.toLowerCase()")
def searching(browser: Browser, page):
    browser.open(page)
    everything = browser.rows()
    box = browser.find("#search")
    box.send_keys("NORM layer")
    assert browser.rows() == ["nn.functional.layer_norm"]
    assert browser.find("#count").text.startswith("1 of ")
    box.clear()
    box.send_keys("nothing of the kind")
    assert browser.rows() == []
    browser.click("#heat button")
    assert browser.rows() == everything
    assert len(everything) > 5


@check("count && wanted[k]", "count")
def filtering_by_result(browser: Browser, page):
    browser.open(page)
    everything = browser.rows()
    browser.click('#statuses [data-class="known"]')
    assert browser.rows() == ["nn.functional.gelu"]
    assert browser.find('#statuses [data-class="known"]').get_attribute("aria-pressed") == "true"
    browser.click("#reset")
    assert browser.rows() == everything


@check("dtypes[cell[1]] && ", "")
def filtering_by_dtype(browser: Browser, page):
    browser.open(page)
    assert browser.texts("#heat thead th")[1:] == ["float64", "float32", "float16", "bfloat16"]
    browser.click('#dtypes input[value="float16"]')
    assert browser.texts("#heat thead th")[1:] == ["float64", "float32", "bfloat16"]


@check("DATA.families[k] === family", "true")
def filtering_by_family(browser: Browser, page):
    browser.open(page)
    browser.choose("#family", "rectifier")
    assert browser.rows() == ["nn.functional.relu", "nn.functional.relu6"]


@check("cell[at] === number))", "true))")
def filtering_by_mode(browser: Browser, page):
    browser.open(page)
    before = browser.find("#count").text
    browser.choose('[data-axis="mode"]', "double")
    assert browser.find("#count").text != before
    browser.choose("#columns", "mode")
    assert browser.texts("#heat thead th")[1:] == ["double"]


@check("high(b) - high(a)", "high(a) - high(b)")
def sorting(browser: Browser, page):
    browser.open(page)
    assert browser.rows() == sorted(browser.rows())
    browser.choose("#sort", "worst")
    assert browser.rows()[:2] == ["nn.functional.conv2d", "nn.functional.gelu"]  # deviates, known
    worst = [max(map(float, row)) for row in figures(browser)[2:]]
    assert worst == sorted(worst, reverse=True)


@check("values.get(b) - values.get(a)", "0")
def sorting_by_a_column(browser: Browser, page):
    browser.open(page)
    browser.click('#heat [data-column="float64"]')
    column = [float(row[0]) for row in figures(browser)]
    assert column == sorted(column, reverse=True)
    assert len(set(column)) > 3
    assert browser.find('#heat th[aria-sort="descending"]').text == "float64"
    assert browser.focused("dataset.column") == "float64"


def figures(browser):
    return browser.js(
        "return [...document.querySelectorAll('#heat tbody tr')].map((tr) => "
        "[...tr.querySelectorAll('a.cell')].map((a) => a.textContent))"
    )


@check("worst: 0, median: 1, ulp: 2", "worst: 0, median: 0, ulp: 0")
def another_figure(browser: Browser, page):
    browser.open(page)
    worst = figures(browser)
    browser.choose("#measure", "median")
    median = figures(browser)
    assert all(float(m) <= float(w) for ms, ws in zip(median, worst, strict=True) for m, w in zip(ms, ws, strict=True))
    assert median != worst


@check("title.focus({ preventScroll: true })", "void title")
def drilling_down(browser: Browser, page):
    browser.open(page)
    browser.find("#search").send_keys("gelu")
    browser.click("#heat td:nth-child(5) a.cell")
    browser.until("return location.hash.startsWith('#/op/')", "the address does not name the operation")
    assert browser.find("h1#operation-title").text == "nn.functional.gelu"
    assert browser.focused("id") == "operation-title"
    assert browser.js("return document.title") == "nn.functional.gelu · gradcheck"
    assert browser.find("#dtype-choice input:checked").get_attribute("value") == "bfloat16"
    assert "Φ(x)" in browser.find(".doc").text
    assert "def gelu(x" in browser.find("pre.source").get_attribute("textContent")
    assert len(browser.all("#charts canvas")) == 5  # value and gradient, by two measures, and by size
    assert "×" in browser.all("#charts [role=img]")[0].get_attribute("aria-label")
    browser.driver.back()
    browser.until("return !document.getElementById('overview').hidden", "Back does not lead to the overview")
    assert browser.rows() == ["nn.functional.gelu"], "the search is forgotten on the way back"


@check("series: [{ name: title, y: drawn.y,", "series: [{ name: title, y: drawn.y.map(() => null),")
def drawing_curves(browser: Browser, page):
    browser.open(page, "#/op/nn.functional.gelu?dtype=float32")
    blue = """const canvas = document.querySelectorAll('#charts canvas')[arguments[0]], all = canvas.getContext('2d')
        .getImageData(0, 0, canvas.width, canvas.height).data; let n = 0;
        for (let k = 0; k < all.length; k += 4) n += all[k + 3] > 200 && all[k + 2] > 1.5 * all[k]; return n"""
    for chart in range(4):
        assert browser.js(blue, chart) > 300, f"chart {chart} shows no curve"
    browser.click('#dtype-choice input[value="float16"]')
    assert browser.texts("#charts figcaption")[0].startswith("float16, value: error / bound")


@check("<td>${esc(kink.what)}</td>", "<td></td>")
def conventions_at_kinks(browser: Browser, page):
    browser.open(page, "#/op/nn.functional.relu")
    assert "the gradient is 0" in browser.find("#operation table.plain").text


@check("copy(button.dataset.copy, button)", "copy(button.dataset.copy.slice(1), button)")
def copying_a_replay_line(browser: Browser, page):
    browser.open(page, "#/op/nn.functional.gelu")
    browser.driver.execute_cdp_cmd("Browser.grantPermissions", {"permissions": ["clipboardReadWrite"]})
    line = browser.find("#operation-deviations .replay code").text
    assert line.startswith("gradcheck replay 'nn.functional.gelu(")
    browser.click("#operation-deviations .replay button")
    browser.until("return document.getElementById('said').textContent === 'Copied'", "nothing says that it was copied")
    read = "const done = arguments[0]; navigator.clipboard.readText().then(done, (error) => done(String(error)))"
    assert browser.driver.execute_async_script(read) == line


@check("list.filter((one) => one.dtype !== dtype)", "[]")
def all_deviations_of_an_operation(browser: Browser, page):
    browser.open(page, "#/op/nn.functional.gelu?dtype=bfloat16")
    total = browser.js("return DATA.deviations.filter((one) => one.operation === 'nn.functional.gelu').length")
    while [button for button in browser.all("#operation-deviations > button") if button.is_displayed()]:
        browser.click("#operation-deviations > button")
    assert len(browser.all("#operation-deviations article")) == total > 6
    assert "Known: A kernel of its own." in browser.find("#operation-deviations").text
    assert "A kernel of its own." in browser.all("#operation h2 + article")[-1].text


@check("(!kind || one.class === kind)", "true")
def listing_deviations(browser: Browser, page):
    browser.open(page, "#/deviations")
    before = len(browser.all("#deviations-list article"))
    assert before
    browser.choose("#deviations-class", "coarse")
    assert all("coarse" in text for text in browser.texts("#deviations-list article .badge"))
    browser.find("#deviations-search").send_keys("softmax bfloat16")
    names = browser.texts("#deviations-list article h3")
    assert names
    assert all("softmax" in name and "bfloat16" in name for name in names)


@check("wordsChosen.has(row.word) &&", "")
def listing_changes(browser: Browser, page):
    browser.open(page, "#/difference")
    assert "The CPU capability differs (AVX2 → AVX512)" in browser.find("#difference .notice").text
    shown = browser.texts("#difference-list .badge")
    assert shown == ["✕ wrong", "▼ less accurate", "✓ mended"]
    assert browser.find("#difference-count").text.startswith("3 of ")
    browser.click('#words [data-word="rounding"]')
    assert browser.texts("#difference-list .badge") == [*shown, "≈ rounding"]
    browser.find("#difference-search").send_keys("silu")
    assert browser.texts("#difference-list .badge") == ["≈ rounding"]
    browser.click("#difference-list a")
    browser.until(
        "return location.hash.startsWith('#/op/nn.functional.silu')", "the row does not lead to its operation"
    )
    assert "≈ rounding" in browser.find("#operation table.changes").text


@check('byId("ledger-list").innerHTML =', "const unused =")
def listing_the_ledger(browser: Browser, page):
    browser.open(page, "#/ledger")
    entries = browser.texts("#ledger-list article")
    assert len(entries) == 1
    entry = entries[0]
    assert "A kernel of its own." in entry
    assert "size 5.5 × the bound" in entry


@check("localStorage.setItem(", "void (")
def switching_the_theme(browser: Browser, page):
    colour = "return getComputedStyle(document.body).backgroundColor"
    browser.open(page, dark=True)
    dark = browser.js(colour)
    browser.open(page)
    light = browser.js(colour)
    assert dark != light, "the page does not follow the system's theme"
    button = browser.find("#theme")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert browser.js(colour) == dark
    assert button.get_attribute("aria-pressed") == "true"
    browser.driver.refresh()
    assert browser.js(colour) == dark, "the choice is forgotten"
    browser.find("#theme").click()
    assert browser.js(colour) == light


@check("next.focus();", "")
def moving_by_keys(browser: Browser, page):
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    assert browser.js("return document.querySelectorAll('#heat a.cell[tabindex=\"0\"]').length") == 1
    browser.press("/")
    assert browser.focused("id") == "search"
    browser.js("document.querySelector('#heat a.cell[tabindex=\"0\"]').focus()")
    label = browser.focused("ariaLabel")
    browser.press(Keys.ARROW_RIGHT)
    assert ", float32: " in browser.focused("ariaLabel") != label
    outline = browser.js("const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.outlineWidth")
    assert outline == "solid3px", "the focus cannot be seen"
    browser.press(Keys.END)
    assert ", bfloat16: " in browser.focused("ariaLabel")
    browser.press(Keys.ARROW_DOWN)
    second = browser.rows()[1].rpartition(".")[2]
    assert browser.focused("ariaLabel").startswith(f"{second}, bfloat16: ")
    browser.press(Keys.ARROW_UP, Keys.ARROW_UP, Keys.HOME)
    assert browser.focused("ariaLabel") == label
    assert browser.js("return document.querySelectorAll('#heat a.cell[tabindex=\"0\"]').length") == 1
    browser.press(Keys.ENTER)
    browser.until("return location.hash.startsWith('#/op/')", "Enter does not open the cell")


@check('<a class="skip" href="#main">Skip to content</a>', "")
def reaching_everything_by_tab(browser: Browser, page):
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    met = []
    for _ in range(60):
        browser.press(Keys.TAB)
        met.append(browser.js("const e = document.activeElement; return e.id || e.className || e.textContent"))
        if str(met[-1]).startswith("cell"):
            break
    assert met[0] == "skip"
    assert {"theme", "search", "family", "columns", "measure", "sort", "reset"} <= set(met)
    assert met[-1].startswith("cell"), "the heat map cannot be reached"


@check('aria-label="Copy the replay line"', 'aria-hidden="true"')
def names_for_screen_readers(browser: Browser, page):
    for view in ("", "#/deviations", "#/difference", "#/op/nn.functional.gelu"):
        browser.open(page, view)
        nodes = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        roles = {"button", "link", "searchbox", "combobox", "checkbox", "radio", "image", "table", "heading", "region"}
        nameless = [
            node["role"]["value"]
            for node in nodes
            if not node["ignored"] and node["role"]["value"] in roles and not node.get("name", {}).get("value")
        ]
        assert not nameless, f"{view}: without a name: {nameless}"
        buttons = [node["name"]["value"] for node in nodes if node.get("role", {}).get("value") == "button"]
        assert view == "" or "Copy the replay line" in buttons


@check('.c-known > .glyph::before { content: "◆"; }', "")
def signs_beside_colours(browser: Browser, page):
    signs = """return [...document.querySelectorAll('#heat a.cell')].map((a) =>
        [a.className, getComputedStyle(a.firstElementChild, '::before').content])"""
    browser.open(page)
    found = {tuple(pair) for pair in browser.js(signs)}
    kinds = {kind.split()[1] for kind, _ in found}
    assert {"c-known", "c-coarse", "c-agrees", "c-deviates"} <= kinds
    for kind, sign in found:
        assert "c-agrees" in kind or "c-unsupported" in kind or sign not in ("none", "normal"), kind


@check("--soft: light-dark(#5b6470,", "--soft: light-dark(#b8c0cc,")
def contrast(browser: Browser, page):
    """At least 4.5 between words and what is behind them (WCAG 2.2, 1.4.3)."""
    ratios = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
    for dark in (False, True):
        for view in ("", "#/deviations", "#/difference", "#/op/nn.functional.gelu"):
            browser.open(page, view, dark=dark)
            worst = browser.js(ratios)
            assert worst[0][0] >= 4.5, (dark, view, worst)


@check("* { box-sizing: border-box; }", "* { box-sizing: border-box; } main { min-width: 500px; }")
def a_phone(browser: Browser, page):
    for view in ("", "#/deviations", "#/ledger", "#/difference", "#/op/nn.functional.gelu", "#/op/nn.functional.silu"):
        browser.open(page, view, width=360, height=740)
        across = browser.js("return Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
        assert across <= 360, f"{view or 'overview'} is {across} px wide"
    browser.open(page, "#/difference", width=360, height=740)
    inside = browser.js(
        "const box = document.getElementById('difference-list'); return [box.scrollWidth, box.clientWidth]"
    )
    assert inside[0] <= inside[1], "a change does not fit"
    browser.open(page, width=360, height=740)
    table = browser.js("const box = document.getElementById('heat'); return [box.scrollWidth, box.clientWidth]")
    assert table[0] <= table[1], "four dtypes do not fit"


@check('"use strict";', '"use strict"; setTimeout(() => { throw new Error("planted"); });')
def no_complaints(browser: Browser, page):
    for view in (
        "",
        "#/deviations",
        "#/ledger",
        "#/difference",
        "#/op/nn.functional.gelu",
        "#/op/no.such",
        "#/nowhere",
    ):
        browser.open(page, view)
        browser.until("return document.readyState === 'complete'", "the page does not load")
        assert browser.complaints() == [], view


@check("default-src 'none'", "default-src * 'unsafe-inline'")
def no_network(browser: Browser, page):
    browser.open(page, "#/op/nn.functional.gelu")
    assert browser.requests() == []
    # Even what were to get in must not get out.
    browser.js("new Image().src = 'http://127.0.0.1:9/planted.png'")
    asked = "const done = arguments[0]; fetch('http://127.0.0.1:9/planted').finally(done).catch(() => {})"
    browser.driver.execute_async_script(asked)
    assert browser.requests() == []
