"""Sorting, filtering, expanding and following links, in a browser."""

import pytest


def texts(page, table, column):
    """Return the texts of a column in the visible rows, by body."""
    return page.eval_on_selector_all(
        f"{table} tbody:not([hidden])",
        """(bodies, column) => bodies.map((body) => [...body.rows]
            .filter((row) => !row.hidden && !row.classList.contains("group"))
            .map((row) => row.cells[column].textContent.trim()))""",
        column,
    )


def numbers(values):
    return [float(value.split()[0]) for value in values]


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_runs_are_sorted_within_their_protocol(watched, busy, way):
    page = watched.open(busy / "index.html")
    before = texts(page, ".runs", 1)
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
    up = texts(page, ".runs", 1)
    assert head.get_attribute("aria-sort") == "ascending"
    assert [numbers(body) for body in up] == [sorted(numbers(body)) for body in before]
    assert up != before
    press()
    assert head.get_attribute("aria-sort") == "descending"
    assert texts(page, ".runs", 1) == [body[::-1] for body in up]
    assert all(body.evaluate("body => body.rows[0].className") == "group" for body in page.locator(".runs tbody").all())
    page.locator(".runs thead th", has_text="Recipe").locator("button").click()
    assert page.locator(".runs thead [aria-sort=ascending]").count() == 1
    assert head.get_attribute("aria-sort") == "none"
    for body in texts(page, ".runs", 0):
        assert body == sorted(body, key=str.lower)


def test_measured_numbers_are_sorted_by_their_difference_with_its_sign(watched, busy):
    page = watched.open(busy / "index.html")
    head = page.locator(".measured thead th", has_text="Difference")
    head.locator("button").click()
    (up,) = texts(page, ".measured", 3)
    values = [float(text.replace("−", "-")) for text in up[:-1]]  # noqa: RUF001
    assert values == sorted(values)
    assert values[0] < 0 < values[-1]
    assert up[-1] == "–"  # noqa: RUF001
    head.locator("button").click()
    assert texts(page, ".measured", 3) == [[*up[-2::-1], up[-1]]]
    assert page.locator(".measured thead th.drawn button").count() == 0


def test_rows_without_a_value_are_last_in_both_orders(watched, busy):
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


def test_the_filter_hides_rows_and_counts_the_others(watched, busy):
    page = watched.open(busy / "index.html")
    total = page.locator(".runs tbody tr:not(.group)").count()
    box, left = page.get_by_label("Filter the runs"), page.locator("output").last
    measured = page.locator(".measured tbody tr").count()
    assert page.get_by_label("Filter the numbers").count() == (measured > 8)
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
    assert texts(page, ".runs", 6) == [["synthetic birds ◇"]]
    box.fill("shuffled")
    assert [len(body) for body in texts(page, ".runs", 0)] == [1]
    box.fill("<nothing>")
    assert texts(page, ".runs", 0) == []
    assert left.text_content() == f"0 of {total} rows"
    box.fill("")
    assert left.text_content() == f"{total} rows"
    assert sum(len(body) for body in texts(page, ".runs", 0)) == total


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_details_expand_and_collapse(watched, busy, way):
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
    assert button.text_content() == f"Expand all {count}"
    press(button)
    assert part.locator("> details[open]").count() == count
    assert button.text_content() == "Collapse all"
    press(button)
    assert part.locator("> details[open]").count() == 0


def test_links_open_the_details_of_their_target(watched, busy):
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


def test_the_matrix_counts_every_cell_and_links_to_the_first_of_each_outcome(watched, busy):
    page = watched.open(busy / "index.html")
    rows = page.eval_on_selector_all(
        ".matrix tbody tr",
        "rows => rows.map((row) => [...row.querySelectorAll('td')].map((td) => +td.textContent || 0))",
    )
    assert all(sum(counts[:-1]) == counts[-1] > 0 for counts in rows)
    assert [sum(column) for column in zip(*rows[:-1], strict=True)] == rows[-1]
    assert all(count > 0 for count in rows[0])  # every outcome
    heads = page.locator(".matrix thead .word").all_text_contents()
    words = ["reproduced", "exceeds", "not reproduced", "inconclusive", "not comparable"]
    assert heads == [*words, "not measured", "numbers"]
    link = page.get_by_label("reproduced, Bilinear", exact=False).first
    word = "reproduced"
    link.click()
    cell = page.locator("td:target")
    assert word in cell.text_content()
    assert cell.is_visible()
