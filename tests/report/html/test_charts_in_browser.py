"""Charts in a browser: SVG first, then interactive, and SVG without scripts."""

import pytest
from browser_pages import Watched
from busy_pages import CURVE, HOSTILE, MACHINE, picture, report, searches
from made_records import Kept, of_right

CHARTED = ("method-bcnn", "costs", "reid")


def drawn(folder, **fields):
    """Write pages with every kind of chart; `fields` change each record, for example its title."""
    pairs = [
        of_right(
            [i % 10 < 8 - number for i in range(80)], f"bcnn/bcnn_{name}@cub", seed, provenance=MACHINE, curve=CURVE,
            cost={"wall_s": 9.0, "phase_s": {}, "peak_mib": 7.0, "test_fps": 10.0 * (1 + number)}, **fields,
        )
        for number, name in enumerate(("dd", "dm", "mm"))
        for seed in range(2)
    ]  # fmt: skip
    kept = Kept(*pairs)
    people = [searches(seed).model_copy(update=fields) for seed in range(2)]
    pictures = {people[0].run_id: {"searches": picture()}}
    return report(folder, [*kept.records, *people], kept, pictures=pictures)


@pytest.fixture(scope="module")
def charted(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("charted"))


def live(page):
    """Scroll to every chart and wait until all are interactive; return their number."""
    charts = page.locator("figure.chart")
    for chart in charts.all():
        chart.scroll_into_view_if_needed()
    page.wait_for_selector("figure.chart:not(.live)", state="detached")
    return charts.count()


def pointed(page):
    """Return the tooltip of the first mark of a chart."""
    mark = page.locator("figure.chart .mark-symbol.role-mark path").first
    mark.scroll_into_view_if_needed()
    place = mark.bounding_box()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.wait_for_selector("#vg-tooltip-element.visible")
    return page.locator("#vg-tooltip-element").inner_text()


def sizes(page):
    return page.eval_on_selector_all(
        ".drawing svg", "all => all.map((svg) => svg.getBoundingClientRect()).map((box) => [box.width, box.height])"
    )


@pytest.mark.parametrize("name", CHARTED)
def test_the_interactive_chart_replaces_the_svg_and_has_its_size(watched, chromium, charted, name):
    plain = Watched(chromium, java_script_enabled=False)
    plain.open(charted / f"{name}.html")
    drawn = [box for box in plain.page.locator(".drawing svg").all() if box.is_visible()]
    pictures = [(box.bounding_box()["width"], box.bounding_box()["height"]) for box in drawn]
    plain.context.close()
    page = watched.open(charted / f"{name}.html")
    assert live(page) == len(pictures) > 0
    for one, other in zip(sizes(page), pictures, strict=True):
        assert one == pytest.approx(other, abs=12)
    assert page.locator(".drawing[role=img][aria-label]").count() == len(pictures)


def test_the_tooltip_has_the_recorded_number(watched, charted):
    page = watched.open(charted / "costs.html")
    live(page)
    tooltip = pointed(page)
    rows = page.locator("figure.chart").first.locator("tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )  # fmt: skip
    assert ["1", "B-CNN [D,D]", "B-CNN", "10", "80", "yes"] in rows
    for words in ("run B-CNN [D,D]", "test images per second 10", "accuracy, % 80", "95 % over seeds 80.00 to 80.00"):
        assert words in " ".join(tooltip.split())


def test_a_click_in_the_legend_highlights_a_series(watched, charted):
    page = watched.open(charted / "method-bcnn.html")
    live(page)
    chart = page.locator("figure.chart").first
    faint = "all => all.filter((path) => Number(path.getAttribute('opacity')) < 0.2).length"
    lines = chart.locator(".mark-line.role-mark path")
    before = lines.evaluate_all(faint)
    chart.locator(".role-legend-label text").first.click()
    page.wait_for_timeout(200)
    assert lines.evaluate_all(faint) > before


def test_without_the_library_a_page_keeps_its_svg(chromium, tmp_path):
    folder = drawn(tmp_path)
    (folder / "charts.js").unlink()
    watched = Watched(chromium)
    page = watched.open(folder / "method-bcnn.html")
    page.wait_for_timeout(300)
    assert page.locator("figure.chart.live").count() == 0
    assert page.locator(".drawing svg").first.is_visible()
    watched.context.close()


def test_hostile_names_stay_text_in_tooltips(watched, tmp_path):
    folder = drawn(tmp_path, title=HOSTILE, method=HOSTILE)
    hostile_tooltips = 0
    for path in sorted(folder.glob("*.html")):
        page = watched.open(path)
        if not page.locator("figure.chart").count():
            continue
        live(page)
        hostile_tooltips += "<script>parent.ran" in pointed(page)
        assert page.evaluate("typeof ran") == "undefined"
        assert page.locator("img[src=x]").count() == 0
    assert hostile_tooltips > 1
