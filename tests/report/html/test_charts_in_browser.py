"""Charts in a real browser: pictures at first, then live, and pictures again where no script runs."""

import pytest
from browser_pages import Watched
from busy_pages import CURVE, HOSTILE, MACHINE, picture, report, searches
from made_records import Kept, of_right

CHARTED = ("method-bcnn", "costs", "reid")


def drawn(folder, **fields):
    """Pages with every kind of chart; all of one name where a title is given."""
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
    """Scroll to every chart and wait until all answer the pointer; how many there are."""
    charts = page.locator("figure.chart")
    for chart in charts.all():
        chart.scroll_into_view_if_needed()
    page.wait_for_selector("figure.chart:not(.live)", state="detached")
    return charts.count()


def pointed(page):
    """What a chart tells when the pointer is on its first mark."""
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
def test_a_live_chart_takes_the_place_of_its_picture_and_is_as_large(watched, chromium, charted, name):
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


def test_the_pointer_is_told_the_number_that_was_recorded(watched, charted):
    page = watched.open(charted / "costs.html")
    live(page)
    told = pointed(page)
    rows = page.locator("figure.chart").first.locator("tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )  # fmt: skip
    assert ["1", "B-CNN [D,D]", "bcnn", "10", "80"] in rows
    for words in ("run B-CNN [D,D]", "test images per second 10", "accuracy, % 80", "from 69.9538", "to 87.2972"):
        assert words in " ".join(told.split())


def test_a_click_in_the_legend_picks_out_a_series(watched, charted):
    page = watched.open(charted / "method-bcnn.html")
    live(page)
    chart = page.locator("figure.chart").first
    faint = "all => all.filter((path) => Number(path.getAttribute('opacity')) < 0.2).length"
    lines = chart.locator(".mark-line.role-mark path")
    before = lines.evaluate_all(faint)
    chart.locator(".role-legend-label text").first.click()
    page.wait_for_timeout(200)
    assert lines.evaluate_all(faint) > before


def test_without_the_file_beside_it_a_page_keeps_its_pictures(chromium, tmp_path):
    folder = drawn(tmp_path)
    (folder / "charts.js").unlink()
    watched = Watched(chromium)
    page = watched.open(folder / "method-bcnn.html")
    page.wait_for_timeout(300)
    assert page.locator("figure.chart.live").count() == 0
    assert page.locator(".drawing svg").first.is_visible()
    watched.context.close()


def test_hostile_names_are_told_as_text_by_live_charts(watched, tmp_path):
    folder = drawn(tmp_path, title=HOSTILE, method=HOSTILE)
    told = 0
    for path in sorted(folder.glob("*.html")):
        page = watched.open(path)
        if not page.locator("figure.chart").count():
            continue
        live(page)
        told += "<script>parent.ran" in pointed(page)
        assert page.evaluate("typeof ran") == "undefined"
        assert page.locator("img[src=x]").count() == 0
    assert told > 1
