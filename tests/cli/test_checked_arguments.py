"""Numbers that are too small or are no numbers, from Python and from the command line."""

import tomllib

import numpy as np
import pytest
from command_line import run

import fgbench
from fgbench.cli import functions
from fgbench.cli.checked_arguments import checked_numbers
from fgbench.papers.recipes import load_recipes
from fgbench.runs.changed_settings import changed_settings
from fgbench.runs.run import Changes
from fgbench.util.errors import FgbenchError

RECIPE = "bcnn/bcnn_dd"
SMALLEST = {"classes": 2, "size": 1, "epochs": 1, "limit": 1, "seed": 0}
OF_EVALUATE = ("classes", "size", "limit")


def call(verb, tmp_path, **values):
    """Return the error of a function of Python."""
    calls = {
        "run": lambda: fgbench.run(RECIPE, profile="quick", results=tmp_path / "runs", **values),
        "evaluate": lambda: fgbench.evaluate("none.pth", recipe=RECIPE, results=tmp_path / "runs", **values),
    }
    with pytest.raises(FgbenchError) as caught:
        calls[verb]()
    assert not (tmp_path / "runs").exists()
    return caught.value


@pytest.mark.parametrize(
    ("verb", "name"), [*(("run", name) for name in SMALLEST), *(("evaluate", name) for name in OF_EVALUATE)]
)
def test_a_number_below_the_smallest_is_the_same_error_at_both_doors(verb, name, tmp_path):
    smallest = SMALLEST[name]
    for value in (smallest - 1, -7):
        error = call(verb, tmp_path, **{name: value})
        words = ["run", RECIPE, "--profile", "quick"] if verb == "run" else ["evaluate", "none.pth", "--recipe", RECIPE]
        code, text = run(*words, f"--{name}", str(value), "--results", str(tmp_path / "runs"))
        assert code == 2
        typed = " ".join(text.replace("│", " ").split())
        assert error.args[0].replace(f"'{name}'", f"'--{name}'") in typed
        assert str(smallest) in error.hint
    for value in ("3", 1.5, True):
        assert "valid integer" in call(verb, tmp_path, **{name: value}).args[0]


def test_whole_numbers_of_numpy_and_the_smallest_numbers_pass_the_check(tmp_path):
    for name, smallest in SMALLEST.items():
        with pytest.raises(FgbenchError, match="no recipe 'bcnn/none'"):
            fgbench.run("bcnn/none", results=tmp_path, **{name: np.int64(smallest)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (Changes(backbone=""), "no network ''"),
        (Changes(precision=""), "no precision ''"),
        (Changes(size=0), "takes a size in pixels"),
        (Changes(epochs=0), "greater than 0"),
        (Changes(recompress=0), "quality from 1 to 95"),
    ],
)
def test_an_empty_text_or_zero_is_not_the_default(changes, message):
    with pytest.raises(FgbenchError, match=message):
        changed_settings(load_recipes()["bcnn/bcnn_dd@cub"], "paper", changes)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["classifier", "b c"], '["classifier", "b c"]'), ((30, 40), "[30, 40]"), ([], "[]"), (True, "true"),
        (np.float64(0.5), "0.5"), ("sgd", "sgd"), ([True, 1.5], "[true, 1.5]"),
    ],
)  # fmt: skip
def test_values_of_settings_are_written_as_toml(value, text):
    assert functions._assignments({"a.b": value}) == (f"a.b={text}",)
    assert isinstance(value, str) or tomllib.loads(f"value = {text}")["value"] == (
        list(value) if isinstance(value, tuple) else value
    )


@pytest.mark.parametrize("value", [None, {"lr": 1}, [None]])
def test_a_value_that_no_setting_has_is_refused(value, tmp_path):
    with pytest.raises(FgbenchError, match="set_values: a is ") as caught:
        fgbench.run(RECIPE, results=tmp_path, set_values={"a": value})
    assert "dotted name" in caught.value.hint


def test_judge_takes_the_cell_as_second_argument_and_asks_for_it():
    table = np.zeros((1, 3))
    with pytest.raises(FgbenchError) as by_name:
        fgbench.judge(table, cell="bcnn/none")
    with pytest.raises(FgbenchError) as by_place:
        fgbench.judge(table, "bcnn/none")
    assert by_place.value.args == by_name.value.args
    for arguments in ((), (3,), ("",)):
        with pytest.raises(FgbenchError, match="no printed number is named") as caught:
            fgbench.judge(table, *arguments)
        assert "fgbench.cells()" in caught.value.hint


def test_whole_numbers_of_numpy_become_those_of_python():
    checked = checked_numbers(seed=np.int64(0), epochs=np.uint8(3), size=None)
    assert checked == {"seed": 0, "epochs": 3, "size": None}
    assert [type(value) for value in checked.values() if value is not None] == [int, int]
