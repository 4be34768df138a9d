"""The pages in a real browser: what a reader does with them, and what must never happen."""

from pathlib import Path

import axe_playwright_python
import pytest
from browser_pages import WIDE, Watched
from busy_pages import HOSTILE, KINDS, busy_report, hostile_report

from fgbench.report.html.pages import SCRIPT

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
NARROW = {"width": 360, "height": 740}
UNFOLD = "for (const fold of document.querySelectorAll('details')) fold.open = true"


@pytest.fixture(scope="session")
def busy(tmp_path_factory):
    return busy_report(tmp_path_factory.mktemp("busy"))


@pytest.fixture(scope="session")
def hostile(tmp_path_factory):
    return hostile_report(tmp_path_factory.mktemp("hostile"))


def texts(page, table, column):
    """What the rows that are shown have in a column, by body."""
    return page.eval_on_selector_all(
        f"{table} tbody:not([hidden])",
        """(bodies, column) => bodies.map((body) => [...body.rows]
            .filter((row) => !row.hidden && !row.classList.contains("group"))
            .map((row) => row.cells[column].textContent.trim()))""",
        column,
    )


def numbers(values):
    return [float(value.split()[0]) for value in values]


@pytest.mark.parametrize("kind", ["busy", "hostile"])
def test_no_page_complains_loads_anything_or_is_wider_than_the_screen(watched, kind, request):
    pages = sorted(request.getfixturevalue(kind).glob("*.html"))
    assert {"index", "bcnn", "speed", "provenance"} <= {path.stem for path in pages}
    for path in pages:
        page = watched.open(path)
        for size in (WIDE, {"width": 800, "height": 900}, NARROW):
            page.set_viewport_size(size)
            for unfold in ("0", UNFOLD):
                page.evaluate(unfold)
                assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], (path.stem, size, unfold)
        assert watched.wrong == [], path.stem


def test_names_that_are_out_to_do_harm_stay_text(watched, hostile):
    for path in sorted(hostile.glob("*.html")):
        page = watched.open(path)
        page.evaluate(UNFOLD)
        assert page.evaluate("typeof ran") == "undefined", path.stem
        scripts = "all => all.map((each) => [each.type, each.getAttribute('src'), each.textContent])"
        for kind, file, text in page.eval_on_selector_all("script", scripts):
            # Ours, data that does not run, or a file beside the pages.
            assert text == SCRIPT.text or kind == "application/json" or (hostile / file).is_file(), path.stem
        addresses = page.eval_on_selector_all("[href], [src]", "all => all.map((each) => each.href || each.src)")
        assert {address.partition(":")[0] for address in addresses} <= {"file", "https", "http", "data"}, path.stem
        links = page.eval_on_selector_all("a[href^='file:'], a:not([href*=':'])", "all => all.map((a) => a.href)")
        files = {Path(link.partition("#")[0].removeprefix("file://")).name for link in links}
        assert files <= {each.name for each in hostile.glob("*.html")}, path.stem
        handlers = "all => all.filter((each) => [...each.attributes].some((a) => a.name.startsWith('on'))).length"
        assert page.eval_on_selector_all("*", handlers) == 0, path.stem
    body = watched.open(hostile / "bcnn.html").text_content("main")
    assert all(kind in body for kind in KINDS)
    assert watched.page.text_content("h1") == HOSTILE


def test_a_script_that_gets_into_a_page_does_not_run(chromium, busy, tmp_path):
    watched = Watched(chromium)
    text = (busy / "index.html").read_text(encoding="utf-8")
    planted = "<script>ran = 1</script><img src='data:x' onerror='ran = 1'><img src='https://example.org/x.png'>"
    (tmp_path / "planted.html").write_text(text.replace("</main>", f"{planted}</main>"), encoding="utf-8")
    page = watched.open(tmp_path / "planted.html")
    assert page.evaluate("typeof ran") == "undefined"
    assert sum("Content Security Policy" in said for said in watched.wrong) == 3
    assert page.locator("th button").count() > 0  # the page's own still does
    watched.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_barrier_that_axe_knows(watched, busy, scheme):
    watched.page.emulate_media(color_scheme=scheme)
    # Only what is wrong is described node by node, which is most of the time; in the dark only colours are other.
    asked = "resultTypes: ['violations']"
    if scheme == "dark":
        asked += ", runOnly: ['color-contrast']"
    for path in sorted(busy.glob("*.html")):
        page = watched.open(path)
        page.evaluate(UNFOLD)
        page.evaluate(AXE)
        found = page.evaluate(f"axe.run(document, {{{asked}}})")
        wrong = [(rule["id"], [node["html"][:200] for node in rule["nodes"][:3]]) for rule in found["violations"]]
        assert wrong == [], path.stem
        assert {rule["id"] for rule in found["passes"]} >= {"color-contrast"}


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_runs_are_sorted_within_their_protocol(watched, busy, way):
    page = watched.open(busy / "index.html")
    before = texts(page, ".runs", 5)
    assert len(before) > 2
    head = page.locator(".runs thead th", has_text="Measured")
    assert head.get_attribute("aria-sort") == "none"

    def press():
        if way == "mouse":
            head.locator("button").click()
        else:
            head.locator("button").focus()
            page.keyboard.press("Enter")

    press()
    up = texts(page, ".runs", 5)
    assert head.get_attribute("aria-sort") == "ascending"
    assert [numbers(body) for body in up] == [sorted(numbers(body)) for body in before]
    assert up != before
    press()
    assert head.get_attribute("aria-sort") == "descending"
    assert texts(page, ".runs", 5) == [body[::-1] for body in up]
    assert all(body.evaluate("body => body.rows[0].className") == "group" for body in page.locator(".runs tbody").all())
    page.locator(".runs thead th", has_text="Recipe").locator("button").click()
    assert page.locator(".runs thead [aria-sort=ascending]").count() == 1
    assert head.get_attribute("aria-sort") == "none"
    for body in texts(page, ".runs", 0):
        assert body == sorted(body, key=str.lower)


def test_what_has_no_value_is_sorted_last_both_ways(watched, busy):
    page = watched.open(busy / "provenance.html")
    split = page.locator(".origins thead th", has_text="Split").locator("button")
    for _ in range(2):
        split.click()
        (column,) = texts(page, ".origins", 4)
        assert column[2:] == ["–"] * (len(column) - 2)  # noqa: RUF001
        assert "–" not in column[:2]  # noqa: RUF001
    seeds = page.locator(".origins thead th", has_text="Seed").locator("button")
    seeds.click()
    (column,) = texts(page, ".origins", 3)
    assert numbers(column) == sorted(numbers(column))


def test_runs_are_filtered_and_the_rest_is_counted(watched, busy):
    page = watched.open(busy / "index.html")
    total = page.locator(".runs tbody tr:not(.group)").count()
    box, left = page.get_by_label("Filter the runs"), page.locator("output")
    assert left.get_attribute("aria-live") == "polite"
    assert left.text_content() == f"{total} rows"
    box.focus()
    page.keyboard.type("b-cnn [d,d] PAPER")
    shown = [name for body in texts(page, ".runs", 0) for name in body]
    assert set(shown) == {"B-CNN [D,D]"}
    assert 0 < len(shown) < total
    assert left.text_content() == f"{len(shown)} of {total} rows"
    assert page.locator(".runs tbody[hidden]").count() > 0
    box.fill("synthetic")  # in the head of the group and in the rows
    assert texts(page, ".runs", 2) == [["synthetic birds ◇"]]
    box.fill("shuffled")
    assert [len(body) for body in texts(page, ".runs", 0)] == [1]
    box.fill("<nothing>")
    assert texts(page, ".runs", 0) == []
    assert left.text_content() == f"0 of {total} rows"
    box.fill("")
    assert left.text_content() == f"{total} rows"
    assert sum(len(body) for body in texts(page, ".runs", 0)) == total


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_cells_unfold(watched, busy, way):
    page = watched.open(busy / "bcnn.html")
    part = page.locator(".folds").first
    fold = part.locator("details").first

    def press(what):
        if way == "mouse":
            what.click()
        else:
            what.focus()
            page.keyboard.press("Enter")

    inside = fold.locator(".inside")
    assert not inside.is_visible()
    press(fold.locator("summary"))
    assert inside.is_visible()
    press(fold.locator("summary"))
    assert not inside.is_visible()
    count = part.locator("details").count()
    button = part.get_by_role("button")
    assert button.text_content() == f"Unfold all {count}"
    press(button)
    assert part.locator("> details[open]").count() == count
    assert button.text_content() == "Fold all"
    press(button)
    assert part.locator("> details[open]").count() == 0


def test_links_lead_to_what_they_name_and_open_it(watched, busy):
    page = watched.open(busy / "index.html")
    page.locator(".runs tbody th a").first.click()
    page.wait_for_url("**/bcnn.html#run-*")
    run = page.locator("details:target")
    assert run.evaluate("fold => fold.open")
    assert run.evaluate("fold => Math.abs(fold.getBoundingClientRect().top) < innerHeight")
    page.locator(".printed a.badge").first.click()
    assert page.locator(":target").is_visible()
    for path in sorted(busy.glob("*.html")):
        page = watched.open(path)
        for link in set(page.eval_on_selector_all("a[href]", "all => all.map((a) => a.getAttribute('href'))")):
            name, _, anchor = link.partition("#")
            if not name.startswith("http"):
                text = (busy / (name or path.name)).read_text(encoding="utf-8")
                assert not anchor or f'id="{anchor}"' in text, link


def test_the_matrix_counts_every_cell_and_leads_to_the_first_of_each_kind(watched, busy):
    page = watched.open(busy / "index.html")
    rows = page.eval_on_selector_all(
        ".matrix tbody tr", "rows => rows.map((row) => [...row.querySelectorAll('td')].map((td) => +td.textContent))"
    )
    assert all(sum(counts[:-1]) == counts[-1] for counts in rows)
    assert [sum(column) for column in zip(*rows[:-1], strict=True)] == rows[-1]
    assert sum(count > 0 for count in rows[0][:-1]) == 7  # every outcome
    link = page.get_by_label("reproduced, Bilinear", exact=False).first
    word = "reproduced"
    link.click()
    cell = page.locator("td:target")
    assert word in cell.text_content()
    assert cell.is_visible()


def test_the_keyboard_reaches_everything_and_sees_where_it_is(watched, busy):
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


def test_wide_tables_are_scrolled_by_the_keyboard(watched, busy):
    page = watched.open(busy / "where_to_focus.html")
    page.set_viewport_size(NARROW)
    page.evaluate(UNFOLD)
    page.wait_for_selector("details .scroll[tabindex]", state="attached")
    for box in page.locator(".scroll").all():
        wide = box.evaluate("box => box.scrollWidth > box.clientWidth + 1")
        assert (box.get_attribute("tabindex") == "0") == wide
        assert ("scrolls sideways" in (box.get_attribute("aria-label") or "")) == wide


def test_without_scripts_everything_is_there_to_read(chromium, busy):
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
def test_on_paper_everything_is_unfolded_and_nothing_is_cut_or_to_be_pressed(chromium, busy, scripts):
    watched = Watched(chromium, java_script_enabled=scripts)
    for name in ("index", "bcnn", "provenance"):
        page = watched.open(busy / f"{name}.html")
        page.set_viewport_size({"width": 794, "height": 1123})  # A4
        page.emulate_media(media="print")
        for what in ("nav", ".filter", ".tools", ".skip"):
            assert not any(each.is_visible() for each in page.locator(what).all()), what
        assert all(each.bounding_box()["height"] > 20 for each in page.locator(".inside").all())
        assert page.locator(".tall").evaluate_all("all => all.every((box) => box.scrollHeight <= box.clientHeight + 1)")
        assert page.evaluate("document.documentElement.scrollWidth") <= 794, name
    watched.context.close()
