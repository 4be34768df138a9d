"""Pages show what only runs on a GPU have, and estimates beside real costs, where a record has them."""

import pytest
from made_records import RECIPES, of_accuracy, on_gpu
from report_pages import Parsed, pages

ONLY_ON_GPU = ("GPU, MiB", "TF32", "cuDNN", "Features of the trunk", "Estimated")
CPU = of_accuracy(70.0, recipe="bcnn/bcnn_dm@cub")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    records = [on_gpu(84.0), on_gpu(84.2, 1), CPU]
    return pages(tmp_path_factory.mktemp("pages"), records)


def table_of(page, label):
    """Return the texts of the cells of each row of a table."""
    table = page.partition(f'aria-label="{label}')[2].partition("</table>")[0]
    rows = [row.partition(">")[2].replace("</th>", "</td>").split("</td>")[:-1] for row in table.split("<tr")[1:]]
    return [[Parsed(f"<p>{cell.partition('>')[2]}").text for cell in row] for row in rows]


@pytest.mark.parametrize("label", ["Runs", "Accuracy and cost of runs: accuracy, NVIDIA H200"])
def test_tables_of_runs_have_the_peak_of_the_gpu(shown, label):
    page = shown["index" if label == "Runs" else "costs"]
    rows = table_of(page, label)
    place = rows[0].index("GPU, MiB")
    assert rows[0][place - 1] == "Peak, MiB"
    assert "31235" in {row[place] for row in rows[1:] if len(row) > place}


def test_a_run_on_a_cpu_has_no_peak_of_a_gpu(shown):
    (row,) = [row for row in table_of(shown["index"], "Runs") if row[0] == RECIPES[CPU.recipe].title]
    assert row[9] == "–"  # noqa: RUF001


def test_the_method_has_the_peak_of_the_gpu(shown):
    assert "GPU, MiB" in shown["method-bcnn"]
    assert "<td>31235</td>" in shown["method-bcnn"]


def test_details_of_a_run_have_gpu_features_and_estimated_phases(shown):
    page = shown["bcnn"]
    text = Parsed(page).text
    assert "GPU driver 570.86, CUDA 12.8, cuDNN 91002, TF32 refused" in text
    assert "Features of the trunk classifier: float32 in the memory of the GPU" in text
    assert "training 900.0 700.0 – test 100.0 50.0 – whole 1000.0 750.0 5000" in text  # noqa: RUF001
    heads, *rows = table_of(page, "Cost")
    assert [row[heads.index("GPU, MiB")] for row in rows] == ["31234", "31235"]


def test_machines_have_driver_and_libraries_of_their_gpu(shown):
    heads, *rows = table_of(shown["provenance"], "Machines")
    assert [row[heads.index("GPU")] for row in rows] == ["driver 570.86, CUDA 12.8, cuDNN 91002, TF32 refused", "–"]  # noqa: RUF001


def test_the_estimate_stands_beside_the_real_cost_with_its_parts(shown):
    title = "Cub, for NVIDIA H100 SXM, 80 GB: 50 % of the published peaks"
    heads, row = table_of(shown["costs"], f"Estimated and real cost of runs: {title}")
    assert heads == [
        "Run", "Run, s", "Estimated, s", "Arithmetic, s", "Feeding, s", "Peak, MiB", "Estimated, MiB",
        "GPU, MiB", "Estimated, MiB", "Estimated disk, MiB",
    ]  # fmt: skip
    assert row[1:] == ["1000.0", "750.0", "600.0", "150.0", "5000", "3000", "31235", "30000", "4096"]


def test_pages_of_other_runs_have_no_empty_columns_or_rows(tmp_path):
    for page in pages(tmp_path, [CPU]).values():
        assert not [word for word in ONLY_ON_GPU if word in Parsed(page.partition("<main")[2]).text]
