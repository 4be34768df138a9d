"""`--json` of every verb that prints a table: one JSON value on standard output, with the facts of the table."""

import json
from pathlib import Path

import mini
import pytest
from command_line import CALL
from few_birds import TEST_FILES, few_birds
from night_folders import tonight
from stored_records import record
from verbs import VERBS

from fgbench import cli
from fgbench.cli import console
from fgbench.records.store import Store

WITHOUT_TABLE = {("log",), ("rm",), ("keep",), ("report",), ("data", "get"), ("weights", "get"), ("weights", "train")}
QUICK = ("--profile", "quick")
TYPED = {
    "list": ("list",),
    "list cells": ("list", "cells"),
    "list runs": ("list", "runs"),
    "show": ("show", "bcnn/bcnn_dd"),
    "show run": ("show", "a"),
    "doctor": ("doctor",),
    "run --dry-run": ("run", "fv_sift", "--dry-run", "--gpu", "h100", *QUICK),
    "run": ("run", "fv_sift", *QUICK, "--keep-network", "--results", "made"),
    "reproduce": ("reproduce", "cub", *QUICK, "--results", "made"),
    "sensitivity": ("sensitivity", "fv_sift", *QUICK, "--recompress", "75,20", "--size", "32", "--results", "made"),
    "evaluate --list": ("evaluate", "{network}", "--recipe", "fv_sift", *QUICK, "--list", "--results", "made"),
    "evaluate": ("evaluate", "{network}", "--recipe", "fv_sift", *QUICK, "--results", "made"),
    "predict": ("predict", "{run}", "{image}", "--results", "made"),
    "speed": ("speed", "fv_sift", "--device", "cpu", "--results", "made"),
    "judge": ("judge", "p.csv", "--cell", "bcnn/t1/bcnn_dd/birds", "--results", "judged"),
    "export": ("export", "values"),
    "verify": ("verify",),
    "compare": ("compare", "runs", "--results", "runs"),
    "nightly": ("nightly", "--results", "nights"),
    "data check": ("data", "check", "cub"),
    "data list": ("data", "list"),
    "weights list": ("weights", "list"),
}
"""A command of each verb that prints a table, in the order in which they run."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with records, predictions, a night and birds, in which recipes run on few birds in this process."""
    folder = tmp_path_factory.mktemp("json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("FGBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.setenv("FGBENCH_DATA", str(few_birds(folder / "data")))
        for module in ("run_requests", "evaluation", "speed_output"):
            path = f"fgbench.cli.{module}.choose_recipes"
            patch.setattr(path, lambda data, names: [mini.recipe(name) for name in names or ["fv_sift"]])
        patch.setattr("fgbench.runs.executors.runner.processes", lambda: 2)
        patch.setattr("fgbench.judge.nightly.night_comparison.hash_code", lambda: "code")
        Store(folder / "runs/records").write(*record())
        tonight(folder / "nights")
        Path("p.csv").write_text("image,label\n" + "".join(f"{name},1\n" for name in TEST_FILES))
        yield folder


@pytest.fixture(scope="module")
def answers(place):
    """Name -> result of each command with `--json`."""
    results = {}
    for name, words in TYPED.items():
        network = next(iter(place.glob("made/networks/*.safetensors")), "")
        kept = json.loads(results["run"].stdout)["runs"][0]["run_id"] if "run" in results else ""
        image = next(place.glob("data/*/images/*/*"))
        given = {"{network}": str(network), "{run}": kept, "{image}": str(image)}
        typed = [given.get(word, word) for word in words]
        results[name] = CALL.invoke(cli.app, [*typed, "--json"])
    return results


def test_every_verb_that_prints_a_table_is_here():
    typed = {next(verb for verb in VERBS if words[: len(verb)] == verb) for words in TYPED.values()}
    assert typed == set(VERBS) - WITHOUT_TABLE
    for words in VERBS:
        assert any("--json" in p.opts for p in VERBS[words].params) == (words not in WITHOUT_TABLE), words


@pytest.mark.parametrize("name", TYPED)
def test_standard_output_is_one_json_value(answers, name):
    result = answers[name]
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in {0, 1}
    assert json.loads(result.stdout)


def answer(answers, name):
    return json.loads(answers[name].stdout)


def test_results_of_runs_are_facts_and_lines_go_to_standard_error(answers):
    for name, count in (("run", 1), ("reproduce", 1), ("sensitivity", 3), ("evaluate", 1)):
        facts = answer(answers, name)
        assert len(facts["runs"]) == count
        for row in facts["runs"]:
            assert (row["recipe"], row["profile"], row["measured"], row["unit"]) == (
                "bcnn/fv_sift@cub", "quick", "accuracy", "%",
            )  # fmt: skip
            assert 0 <= row["value"] <= 100
            assert row["wall_s"] > 0
        assert facts["failures"] == facts["blocked"] == []
    assert "profile quick: 1 recipe for cub" in answers["run"].stderr
    assert (answer(answers, "run")["done"], answer(answers, "reproduce")["kept"]) == (1, 1)
    assert Path(answer(answers, "reproduce")["report"]).is_file()
    assert [row["quality"] for row in answer(answers, "sensitivity")["measured"][0]["effects"]] == [75, 20]
    assert all(row["verdict"] == "not comparable" for row in answer(answers, "sensitivity")["verdicts"])


def test_the_next_commands_name_the_results_folder(answers, monkeypatch, place):
    monkeypatch.chdir(place)
    for name, first in (
        ("run", "report"), ("sensitivity", "report"), ("evaluate", "report"), ("reproduce", "show"), ("judge", "report")
    ):  # fmt: skip
        commands = answer(answers, name)["next"]
        folder = "judged" if name == "judge" else "made"
        assert commands[0].startswith(f"fgbench {first} ")
        assert all(command.endswith(f" --results {folder}") for command in commands)
        for command in commands:
            assert CALL.invoke(cli.app, command.split()[1:]).exit_code == 0


def test_verified_folders_and_checked_data_are_facts(answers):
    (folder,) = answer(answers, "verify")["folders"]
    assert (folder["folder"], folder["passed"], folder["records"], folder["verified"]) == ("runs", True, 1, 1)
    assert answer(answers, "data check")["problems"]
    assert answers["data check"].exit_code == 1
    assert answer(answers, "nightly")["passed"] is True
    assert Path(answer(answers, "nightly")["history"]).name == "history.html"
    assert "cells: " in answers["nightly"].stderr


@pytest.mark.parametrize("name", ["list runs", "show run", "verify", "weights list", "data list"])
def test_the_facts_are_those_of_the_table(answers, monkeypatch, place, name):
    monkeypatch.chdir(place)
    monkeypatch.setattr(console._stdout, "width", 4000)  # no text of a table is broken
    shown = " ".join(CALL.invoke(cli.app, TYPED[name]).stdout.split())
    assert shown[0] not in "{["

    def leaves(value):
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return [value] if inner is None else [leaf for one in inner for leaf in leaves(one)]

    texts = [leaf for leaf in leaves(answer(answers, name)) if isinstance(leaf, str)]
    assert texts
    for text in texts:
        assert " ".join(text.split()) in shown


def test_an_error_leaves_standard_output_empty(place, monkeypatch):
    monkeypatch.chdir(place)
    result = CALL.invoke(cli.app, ["list", "nothing", "--json"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no kind named 'nothing'" in str(result.exception)
