"""Screen sizes, accessibility, keyboard, pages without scripts, and printing, in a browser."""

import re
from pathlib import Path

import axe_playwright_python
import pytest
from browser_pages import WIDE, Watched

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
NARROW, PHONE = {"width": 360, "height": 740}, {"width": 390, "height": 844}
EXPAND = "for (const fold of document.querySelectorAll('details')) fold.open = true"


@pytest.mark.parametrize("kind", ["busy", "hostile"])
def test_pages_have_no_errors_and_no_requests_and_fit_the_screen(watched, kind, request):
    pages = sorted(request.getfixturevalue(kind).glob("*.html"))
    assert {"index", "bcnn", "speed", "provenance"} <= {path.stem for path in pages}
    for path in pages:
        page = watched.open(path)
        for size in (WIDE, {"width": 800, "height": 900}, PHONE, NARROW):
            page.set_viewport_size(size)
            for unfold in ("0", EXPAND):
                page.evaluate(unfold)
                assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], (path.stem, size, unfold)
        assert watched.wrong == [], path.stem


def test_no_table_scrolls_sideways_on_a_wide_screen(watched, busy):
    for path in sorted(busy.glob("*.html")):
        page = watched.open(path)
        page.evaluate(EXPAND)
        wide = page.locator(".scroll").evaluate_all(
            "all => all.filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => box.textContent)"
        )
        assert wide == [], path.stem


@pytest.mark.parametrize(
    ("name", "table"),
    [("where_to_focus", '[aria-label="Table 3"]'), ("costs", ".sortable"),
     ("method-bcnn", ".sortable")],
)  # fmt: skip
def test_on_a_phone_a_wide_table_scrolls_in_its_box_and_keeps_the_names_of_its_rows(watched, busy, name, table):
    page = watched.open(busy / f"{name}.html")
    page.set_viewport_size(PHONE)
    shown = page.locator(table).first
    box = shown.locator("xpath=ancestor::div[contains(@class, 'scroll') and @tabindex]")
    box.wait_for()
    assert "gradient" in box.evaluate("box => getComputedStyle(box).backgroundImage")
    box.evaluate("box => { box.scrollLeft = 1e6; }")
    assert box.evaluate("box => box.scrollLeft") > 20
    left = box.bounding_box()["x"]
    heads = [shown.locator("thead th").first, *shown.locator("tbody th[scope=row]").all()]
    assert len(heads) > 2
    for head in heads:
        place = head.bounding_box()
        assert place["x"] == pytest.approx(left, abs=1.5)
        assert place["width"] < 0.55 * PHONE["width"]
        assert head.evaluate("head => getComputedStyle(head).backgroundColor") not in {
            "rgba(0, 0, 0, 0)",
            "transparent",
        }
        # The name is in front of the values that are scrolled behind it.
        head.evaluate("head => head.scrollIntoView({block: 'center', inline: 'nearest'})")
        assert head.evaluate(
            "head => { const box = head.getBoundingClientRect();"
            " return head.contains(document.elementFromPoint(box.right - 3, box.y + box.height / 2)); }"
        )
    box.evaluate("box => { box.scrollLeft = 1e6; }")
    last = shown.locator("thead th").last.bounding_box()
    assert last["x"] + last["width"] <= PHONE["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("width", [360, 800])
def test_measured_numbers_are_visible_without_scrolling_sideways_and_keep_their_names(watched, busy, width):
    page = watched.open(busy / "index.html")
    page.set_viewport_size({"width": width, "height": 900})
    rows = page.locator(".measured tbody tr")
    assert rows.count() > 5
    for row in rows.all():
        assert row.locator("[data-label]").evaluate_all(
            "cells => cells.map((cell) => getComputedStyle(cell, '::before').content)"
        ) == ['"printed "', '"measured "', '"difference "', '"95 % over seeds "']
        for cell in row.locator("th, td:not(.drawn)").all():
            box = cell.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert cell.evaluate("cell => cell.scrollWidth <= cell.clientWidth + 1")
    # The cells keep the roles of a table.
    assert page.get_by_role("table", name="Measured numbers beside the printed ones").get_by_role("row").count() > 5


@pytest.mark.parametrize(
    ("name", "table", "head"),
    [("index", ".runs", "Measured"), ("method-bcnn", "#runs + .caption + .scroll table", "Measured"),
     ("costs", ".sortable", "accuracy"), ("reid", ".rates", "cmc@1")],
)  # fmt: skip
def test_measured_values_of_runs_are_visible_on_a_phone_without_scrolling_sideways(watched, busy, name, table, head):
    page = watched.open(busy / f"{name}.html")
    page.set_viewport_size({"width": 390, "height": 844})
    shown = page.locator(table).first
    heads = shown.locator("thead th").all_text_contents()
    column = next(place for place, text in enumerate(heads) if head in text)
    cells = shown.locator(f"tbody tr:not(.group) > :nth-child({column + 1})").all()
    assert cells
    for cell in cells:
        box = cell.bounding_box()
        assert box["x"] + box["width"] <= 390
        assert re.search(r"\d+\.\d\d", cell.text_content())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(watched, busy, scheme):
    watched.page.emulate_media(color_scheme=scheme)
    # Only what is wrong is described node by node, which is most of the time; in the dark only colours are other.
    asked = "resultTypes: ['violations']"
    if scheme == "dark":
        asked += ", runOnly: ['color-contrast']"
    for path in sorted(busy.glob("*.html")):
        page = watched.open(path)
        page.evaluate(EXPAND)
        page.evaluate(AXE)
        result = page.evaluate(f"axe.run(document, {{{asked}}})")
        wrong = [(rule["id"], [node["html"][:200] for node in rule["nodes"][:3]]) for rule in result["violations"]]
        assert wrong == [], path.stem
        assert {rule["id"] for rule in result["passes"]} >= {"color-contrast"}


def test_photographs_of_mistakes_have_names_and_a_missing_one_leaves_its_place(watched, busy):
    page = watched.open(busy / "method-bcnn.html")
    page.set_viewport_size(PHONE)
    cards = page.locator(".mistakes li").all()
    assert len(cards) == 6
    counts = [card.locator("img").count() for card in cards]
    assert set(counts) == {1, 2}
    for card in cards:
        assert all(image.get_attribute("alt") for image in card.locator("img").all())
        left, right = (figure.bounding_box() for figure in card.locator("figure").all())
        assert left["x"] + left["width"] <= right["x"]
        assert right["x"] + right["width"] <= PHONE["width"]
    photograph = page.locator(".mistakes img").first.bounding_box()
    assert photograph["width"] == photograph["height"] == 144


def test_every_control_is_reachable_by_keyboard_with_a_visible_focus(watched, busy):
    page = watched.open(busy / "index.html")
    page.keyboard.press("Tab")
    skip = page.locator(":focus")
    assert skip.text_content() == "Skip to the content"
    assert skip.bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    seen = set()
    for _ in range(60):
        style = page.evaluate(
            "(() => { const at = document.activeElement, s = getComputedStyle(at);"
            " return [at.tagName, s.outlineStyle, parseFloat(s.outlineWidth)]; })()"
        )
        if style[0] == "BODY":  # past the last
            page.keyboard.press("Tab")
            continue
        seen.add(style[0])
        assert style[1] != "none", style
        assert style[2] >= 1, style
        page.keyboard.press("Tab")
    assert {"A", "BUTTON", "INPUT", "SUMMARY"} <= seen


def test_wide_tables_can_be_scrolled_by_keyboard(watched, busy):
    page = watched.open(busy / "where_to_focus.html")
    page.set_viewport_size(NARROW)
    page.evaluate(EXPAND)
    page.wait_for_selector("details .scroll[tabindex]", state="attached")
    for box in page.locator(".scroll").all():
        wide = box.evaluate("box => box.scrollWidth > box.clientWidth + 1")
        assert (box.get_attribute("tabindex") == "0") == wide
        assert ("scrolls sideways" in (box.get_attribute("aria-label") or "")) == wide


def test_pages_are_complete_without_scripts(chromium, busy):
    watched = Watched(chromium, java_script_enabled=False)
    page = watched.open(busy / "index.html")
    assert page.locator("button, input, output").count() == 0
    assert page.locator(".runs tbody tr:not(.group)").count() > 5
    assert page.locator(".runs tbody tr").last.is_visible()
    page = watched.open(busy / "bcnn.html")
    fold = page.locator("details").first
    fold.locator("summary").click()
    assert fold.locator(".inside").is_visible()
    watched.context.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_printed_pages_are_expanded_and_have_no_controls(chromium, busy, scripts):
    watched = Watched(chromium, java_script_enabled=scripts)
    for name in ("index", "bcnn", "provenance"):
        page = watched.open(busy / f"{name}.html")
        page.set_viewport_size({"width": 794, "height": 1123})  # A4
        page.emulate_media(media="print")
        for selector in ("nav", ".filter", ".tools", ".skip"):
            assert not any(element.is_visible() for element in page.locator(selector).all()), selector
        assert all(box.bounding_box()["height"] > 20 for box in page.locator(".inside").all())
        assert page.locator(".tall").evaluate_all("all => all.every((box) => box.scrollHeight <= box.clientHeight + 1)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 794, name
    watched.context.close()
