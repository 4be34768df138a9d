"""Screen sizes, accessibility, keyboard, pages without scripts, and printing, in a browser."""

from pathlib import Path

import axe_playwright_python
import pytest
from browser_pages import WIDE, Watched

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
NARROW = {"width": 360, "height": 740}
EXPAND = "for (const fold of document.querySelectorAll('details')) fold.open = true"


@pytest.mark.parametrize("kind", ["busy", "hostile"])
def test_pages_have_no_errors_and_no_requests_and_fit_the_screen(watched, kind, request):
    pages = sorted(request.getfixturevalue(kind).glob("*.html"))
    assert {"index", "bcnn", "speed", "provenance"} <= {path.stem for path in pages}
    for path in pages:
        page = watched.open(path)
        for size in (WIDE, {"width": 800, "height": 900}, NARROW):
            page.set_viewport_size(size)
            for unfold in ("0", EXPAND):
                page.evaluate(unfold)
                assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], (path.stem, size, unfold)
        assert watched.wrong == [], path.stem


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
