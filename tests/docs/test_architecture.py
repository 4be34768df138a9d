"""What docs/architecture.md and the other pages say of files, rooms and run ids is true."""

import re
import tomllib

import pytest
from documents import PAGES, ROOT, page

from fgbench.papers.recipes import load_recipes
from fgbench.runs.planning import plan

TEXT = page("docs/architecture.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    return re.split(r"\n## ", TEXT.split(f"\n## {heading}\n")[1])[0]


def first_column(heading: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", section(heading), re.MULTILINE)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_links_exist(path):
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:fgbench|tests|benchmarks)/[\w./-]+\.\w+)`", text):
        assert (ROOT / name).is_file(), name
    for link in re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", text):
        assert (path.parent / link).exists(), link


def test_the_rooms_are_listed_from_top_to_bottom():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (contract for contract in contracts if contract["type"] == "layers")
    assert first_column("Rooms") == contract["layers"]


def test_every_entry_of_a_run_id_is_listed():
    (run,) = plan([load_recipes()["bcnn/fv_sift@cub"]], "quick", [0]).runs
    assert first_column("Run ids") == list(run.id_content())


def test_names_beside_files_are_in_these_files():
    pairs = re.findall(r"`([\w.]+)` in\s+`(fgbench/[\w/]+\.py)`", TEXT)
    pairs += [(name, file) for file, name in re.findall(r"`(fgbench/[\w/]+\.py)`: `([\w.]+)`", TEXT)]
    assert len(pairs) >= 20
    for name, file in pairs:
        for part in name.split("."):
            assert re.search(rf"\b{part}\b", (ROOT / file).read_text(encoding="utf-8")), (name, file)


@pytest.mark.parametrize("room", ["metrics", "statistics", "layers"])
def test_the_api_pages_list_every_module(room):
    listed = re.findall(rf"automodule:: fgbench\.{room}\.(\w+)", page(f"docs/api/{room}.md").read_text())
    assert listed == sorted(path.stem for path in (ROOT / "fgbench" / room).glob("*.py") if path.stem != "__init__")
