"""A measured number and its interval are the same text in every table and on every page."""

import re

import numpy as np
import pandas as pd
import pytest
from made_records import of_right, untrained
from report_pages import Parsed
from scipy import stats

import fgbench
from fgbench.records.store import store_of
from fgbench.report.build import build_report
from fgbench.report.tables.export import export

CELLS = {
    "B-CNN [D,D]": ("bcnn_dd", "bcnn", 3),
    "FV-CNN [D]": ("fv_cnn_d", "fv_cnn", 1),
    "FC-CNN [D]": ("fc_cnn_d", "fc_cnn", 1),
}
"""Title -> recipe, method and number of seeds."""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return a results folder with several seeds, one seed, and a run without random numbers, and its pages."""
    folder = tmp_path_factory.mktemp("results")
    rng = np.random.default_rng(0)
    for recipe, _, seeds in CELLS.values():
        key = f"bcnn/{recipe}@cub"
        plain = {"settings": untrained(key).settings.model_dump(mode="json"), "seeded": False}
        for seed in range(seeds):
            right = rng.random(400) < 0.8
            record, arrays = of_right(right, key, seed, classes=200, **(plain if recipe == "fc_cnn_d" else {}))
            fields = record.model_dump(mode="json", exclude={"schema_version", "outputs", "outputs_sha256", "seal"})
            store_of(folder).write(fields, arrays)
    build_report(folder, folder / "pages")
    return folder


def expected(results, recipe, seeds):
    """Return mean and interval, computed from the records."""
    values = [r.values["accuracy"].value for r in store_of(results).records() if r.recipe == f"bcnn/{recipe}@cub"]
    assert len(values) == seeds
    if recipe == "fc_cnn_d":
        return f"{values[0]:.2f}", "same for all seeds"
    if seeds == 1:
        return f"{values[0]:.2f}", "one seed"
    low, high = stats.t.interval(0.95, seeds - 1, np.mean(values), stats.sem(values))
    return f"{np.mean(values):.2f}", f"{low:.2f} to {high:.2f}"


def rows(text, title):
    """Return the rows of the tables of a page whose first cell has a text."""
    parsed = (Parsed(row).text for row in re.findall(r"<tr\b.*?</tr>", text, re.DOTALL))
    return [row for row in parsed if row.startswith(title)]


def measured(texts):
    """Return the rows of runs, and of the printed number with fine-tuning."""
    return [text for text in texts if "w/o ft" not in text and "FPS" not in text]


@pytest.mark.parametrize("title", CELLS)
def test_a_number_has_one_interval_on_all_pages_and_in_all_tables(results, title, tmp_path):
    recipe, method, seeds = CELLS[title]
    mean, interval = expected(results, recipe, seeds)
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (results / "pages").glob("*.html")}
    # Overview, page of the method with runs and with cells.
    (of_measured, of_index) = measured(rows(pages["index"], title))
    (of_run, of_cell) = measured(rows(pages[f"method-{method}"], title))
    # Page of the paper: the table and the summary of the details.
    of_table = Parsed(pages["bcnn"].split(f'id="at-t1-{recipe}-birds">')[1].split("</td>")[0]).text
    summaries = [Parsed(text).text for text in re.findall(r"<summary.*?</summary>", pages["bcnn"])]
    (of_summary,) = [text for text in summaries if text.startswith(f"{title}, birds, w/ ft")]
    # Exports and the README table.
    tables = {}
    for name in ("runs", "answers", "bcnn/t1"):
        export(name, results, "markdown", tmp_path / "x.md")
        tables[name] = (tmp_path / "x.md").read_text(encoding="utf-8")
    of_tables = [
        row
        for text in tables.values()
        for row in text.replace("\\", "").splitlines()
        if re.match(rf"\| (bcnn \| )?{re.escape(title)}[ ,]", row)
    ]
    of_tables = [row for row in measured(of_tables) if mean in row]
    assert len(of_tables) == 3
    for text in (of_measured, of_index, of_run, of_cell, of_table, of_summary, *of_tables):
        assert re.search(rf"(?<!\d){mean}(?!\d)", text)
        assert interval in text
        # No other interval.
        assert len(re.findall(r"[\d.]+ to [\d.]+|one seed|same for all seeds|\[\d", text)) == 1


@pytest.mark.parametrize("title", CELLS)
def test_the_frame_of_verdicts_has_the_same_interval(results, title, tmp_path):
    recipe, _, seeds = CELLS[title]
    mean, interval = expected(results, recipe, seeds)
    export("runs", results, "csv", tmp_path / "runs.csv")
    runs = pd.read_csv(tmp_path / "runs.csv").set_index("title").loc[title]
    frame = fgbench.verdicts(results).set_index(["paper", "cell"]).loc["bcnn", f"t1/{recipe}/birds"]
    for low, high, about, value in (
        (runs.low, runs.high, runs.interval, runs.measured),
        (frame.seeds_low, frame.seeds_high, frame.interval, frame.measured),
    ):
        assert f"{value:.2f}" == mean
        assert (about if pd.isna(low) else f"{low:.2f} to {high:.2f}") == interval
        assert about == (interval if pd.isna(low) else "95 % over 3 seeds")


def test_the_details_of_a_cell_name_the_other_intervals(results):
    page = (results / "pages" / "bcnn.html").read_text(encoding="utf-8")
    details = Parsed(page.split('id="cell-t1-bcnn_dd-birds"')[1].split("</dl>")[0]).text
    mean, interval = expected(results, "bcnn_dd", 3)
    assert f"Interval of the mean {interval} (95 % over 3 seeds)" in details
    first = store_of(results).records()[0]
    assert first.recipe == "bcnn/bcnn_dd@cub"
    shift = float(mean) - first.values["accuracy"].value
    low, high = (end + shift for end in (first.values["accuracy"].low, first.values["accuracy"].high))
    said = re.search(r"Interval for other test images ([\d.]+) to ([\d.]+) \(95 %", details)
    assert [float(end) for end in said.groups()] == pytest.approx([low, high], abs=0.011)
