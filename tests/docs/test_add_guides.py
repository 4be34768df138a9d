"""The files of the guides "Add a …" are written and their commands are run, from the text of the guides."""

import shutil
import tomllib

from documents import Shell, blocks, draw_leaves, lines, page, write_files

import fgbench
from fgbench.datasets import datasets
from fgbench.judge.verdict import Outcome
from fgbench.papers.margins import Reimplementation
from fgbench.papers.printed import load_papers
from fgbench.papers.recipe_files import Difference
from fgbench.papers.settings import Settings
from fgbench.papers.tables import PrintedRow
from fgbench.records.store import Store
from fgbench.report.formatting import BADGES

PAPER, DATASET, METHOD = (page(f"docs/guides/add_a_{name}.md") for name in ("paper", "dataset", "method"))


def test_add_a_paper(tmp_path, birds_folder):
    assert write_files(PAPER, tmp_path) == ["my_papers/demo/paper.toml", "my_papers/demo/cub.toml"]
    # Fewer birds than the profile generates, in their place.
    shutil.copytree(birds_folder, tmp_path / "cache/data" / datasets["synthetic_birds"].folder)
    shell = Shell(tmp_path, FGBENCH_CACHE=str(tmp_path / "cache"))
    outputs = [shell(line) for line in lines(PAPER)]
    assert "FV-SIFT" in outputs[1]
    (record,) = Store(tmp_path / "runs/records").records()
    assert (record.recipe, record.method, record.profile, record.synthetic) == (
        "demo/sift@cub", "fv_sift", "quick", True,
    )  # fmt: skip
    assert record.settings["options"] == {"words": 8, "pca": 16}
    text = (tmp_path / "runs/report/demo.html").read_text(encoding="utf-8")
    assert "A Demonstration" in text
    assert BADGES[Outcome.NOT_COMPARABLE].shape in text


def test_the_citation_and_the_margin_of_the_guide_have_the_fields_of_the_files_of_the_papers():
    differing, starting, citing, margin = (
        tomllib.loads(block.text) for block in blocks(PAPER, "toml") if not block.file and "documents" not in block.text
    )
    (differs,) = (table["differs"] for table in differing["recipes"].values())
    assert {name: Difference.model_validate(step).here for name, step in differs.items()} == {
        "rotation": "corners are black"
    }
    (values,) = (table["paper"] for table in starting["recipes"].values())
    assert set(values) == {"starts_from"} < set(Settings.model_fields)
    (row,) = citing["tables"]["rows"]
    papers = load_papers()
    rows = [listed for table in papers["where_to_focus"].tables for listed in table.rows]
    (same,) = [listed for listed in rows if listed.cites == PrintedRow.model_validate(row).cites]
    assert (row["id"], row["label"], row["role"], tuple(row["values"])) == (same.id, same.label, same.role, same.values)
    rule = margin["margins"]["accuracy"]
    known = papers["bcnn"].margins["accuracy"]
    rows = [Reimplementation.model_validate(listed) for listed in rule.pop("reimplementations")]
    assert set(rows) <= set(known.reimplementations)
    assert set(rule) | {"reimplementations"} == set(type(known).model_fields)
    assert (rule["share"], rule["reference"]) == (known.share, known.reference)


def test_add_a_data_set_and_a_method(tmp_path):
    write_files(PAPER, tmp_path)
    draw_leaves(tmp_path / "data/leaves-1.0")
    shell = Shell(tmp_path, FGBENCH_CACHE=str(tmp_path / "cache"))
    assert "my_package/pyproject.toml" in write_files(DATASET, tmp_path)
    outputs = dict(zip(lines(DATASET), map(shell, lines(DATASET)), strict=True))
    assert "Leaves: 26 images of 2 classes, 16 for training, 0 problems" in outputs["fgbench data check leaves"]
    assert (tmp_path / "site/my_package-0.1.dist-info/entry_points.txt").is_file()

    assert "my_package/src/colour.py" in write_files(METHOD, tmp_path)
    outputs = dict(zip(lines(METHOD), map(shell, lines(METHOD)), strict=True))
    assert "Mean and standard deviation of the three colours." in outputs["fgbench list methods"]
    assert "2 of 2 records verified" in outputs["fgbench verify"]
    assert "vgg16.leaves" in outputs["fgbench weights list"]
    values = fgbench.load(tmp_path / "runs")
    accuracy = values[values.metric == "accuracy"].set_index("recipe")
    assert sorted(accuracy.index) == ["demo/colour@leaves", "demo/sift@leaves"]
    assert accuracy.value["demo/colour@leaves"] == 100.0
    assert set(accuracy.data) == {"leaves"}
    assert accuracy.n.tolist() == [10, 10]

    # Another source of the package gives another run; the code of fgbench's own methods stays the same.
    colour = tmp_path / "my_package/src/colour.py"
    colour.write_text(colour.read_text().replace("/ 255", "/ 256"))
    shell("pip install ./my_package")
    shell("fgbench run demo/sift demo/colour --data leaves --profile frozen")
    values = fgbench.load(tmp_path / "runs")
    assert values[values.metric == "accuracy"].recipe.value_counts().to_dict() == {
        "demo/colour@leaves": 2, "demo/sift@leaves": 1,
    }  # fmt: skip
    assert values[values.recipe == "demo/colour@leaves"].source.nunique() == 2
