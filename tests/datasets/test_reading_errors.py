"""The next command after a data set could not be read."""

import pytest

from fgbench.cli.data import check_data
from fgbench.datasets import datasets
from fgbench.datasets.reading_errors import with_next_step
from fgbench.runs import planning
from fgbench.util.errors import FgbenchError, MissingError


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cub", "put the official file in its place; fgbench data get cub gets it again once its folder is moved away"),
        ("nabirds", "put the official file in its place, then: fgbench data check nabirds"),
        ("imagefolder:my leaves", "correct it, then: fgbench data check 'imagefolder:my leaves'"),
    ],
)
def test_an_error_without_a_next_step_gets_one(name, hint):
    error = FgbenchError("classes.txt, line 3: 1 field instead of 2")
    with pytest.raises(FgbenchError) as caught, with_next_step(name):
        raise error
    assert (caught.value, caught.value.hint) == (error, hint)


def test_a_drawn_data_set_is_drawn_again(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path))
    with pytest.raises(FgbenchError) as caught, with_next_step("synthetic_birds"):
        raise FgbenchError("classes.txt, line 3: 1 field instead of 2")
    assert caught.value.hint == f"move its folder out of {tmp_path / 'data'}; the next command draws it again"


def test_another_next_step_and_another_kind_stay():
    with pytest.raises(MissingError) as caught, with_next_step("cub"):
        raise MissingError("data", "CUB is not on this machine", "fgbench data get cub")
    assert caught.value.hint == "fgbench data get cub"


def test_planning_and_data_check_name_the_next_step(tmp_path, monkeypatch):
    folder = tmp_path / datasets["cub"].folder
    for name in datasets["cub"].needed:
        path = folder / name
        if path.suffix:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("one\n")
        else:
            path.mkdir(parents=True)
    monkeypatch.setenv("FGBENCH_DATA", str(tmp_path))
    from fgbench.papers.recipes import load_recipes

    with pytest.raises(FgbenchError) as caught:
        planning.plan([load_recipes()["bcnn/fv_sift@cub"]], "paper", [0])
    assert caught.value.hint.startswith("put the official file in its place")
    with pytest.raises(FgbenchError) as caught:
        check_data("cub")
    assert caught.value.hint.startswith("put the official file in its place")
