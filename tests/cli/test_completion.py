"""Completion in the shell: what the shell asks for, and what it gets."""

import os
import subprocess
import sys

import pytest
from command_line import CALL
from stored_records import record

from fgbench import cli
from fgbench.cli import completion
from fgbench.records.store import Store


def completed(monkeypatch, *words):
    """Return what bash gets for the last of some words."""
    monkeypatch.setenv("COMP_WORDS", " ".join(["fgbench", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    monkeypatch.setenv("_FGBENCH_COMPLETE", "complete_bash")
    return CALL.invoke(cli.app, prog_name="fgbench").stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("rep",), ["reproduce", "report"]),
        (("run", "bcnn/fv_s"), ["bcnn/fv_sift", "bcnn/fv_sift_box"]),
        (("run", "x", "--data", "c"), ["cars", "cub", "cuhk03", "cuhk03_detected"]),
        (("run", "x", "--profile", "q"), ["quick"]),
        (("reproduce", "r"), ["reid"]),
        (("reproduce", "c"), ["cars", "cub", "cuhk03"]),
        (("evaluate", "f", "--recipe", "tasn/tasn_v"), ["tasn/tasn_vgg19"]),
        (("sensitivity", "tasn/tasn_v"), ["tasn/tasn_vgg19"]),
        (("speed", "tasn/tasn_v"), ["tasn/tasn_vgg19"]),
        (("judge", "f", "--cell", "bcnn/t1/bcnn_dd/c"), ["bcnn/t1/bcnn_dd/cars", "bcnn/t1/bcnn_dd/cars_no_ft"]),
        (("data", "get", "v"), ["viper"]),
        (("list", "r"), ["recipes", "rows", "runs"]),
        (("list", "cells", "t"), ["tasn"]),
        (("export", "v"), ["values", "verdicts"]),
        (("export", "ta"), ["tasn"]),
    ],
)  # fmt: skip
def test_names_are_completed(monkeypatch, words, expected):
    assert completed(monkeypatch, *words) == expected


@pytest.mark.parametrize("verb", [("log",), ("rm",), ("show",), ("export", "predictions")])
def test_runs_are_those_of_the_typed_folder(monkeypatch, tmp_path, verb):
    Store(tmp_path / "mine/records").write(*record("abc" + "0" * 13))
    Store(tmp_path / "runs/records").write(*record("abd" + "0" * 13))
    monkeypatch.chdir(tmp_path)
    assert completed(monkeypatch, *verb, "--results", "mine", "ab") == ["abc" + "0" * 13]
    assert completed(monkeypatch, *verb, "ab") == ["abd" + "0" * 13]


def test_an_error_completes_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("FGBENCH_REPRODUCTIONS", str(tmp_path))
    assert completed(monkeypatch, "run", "bcnn") == []


def test_completion_does_not_import_torch():
    code = (
        "import sys\nfrom fgbench.cli import completion as c\n"
        "assert c.recipes('') and c.cells('') and c.groups('') and c.data_sets('') and c.tables('')\n"
        "print([name for name in ('torch', 'pandas', 'scipy', 'timm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_listed_word_exists():
    from fgbench.cli.catalogue import KINDS
    from fgbench.papers.recipes import PROFILES
    from fgbench.report.tables.export import EFFECTS, RUN_TABLES
    from fgbench.report.tables.predictions import PREDICTIONS

    assert sorted(completion.KINDS) == sorted([*KINDS, "all"])
    assert sorted(completion.PROFILES) == sorted([*PROFILES, "auto"])
    assert sorted(completion.TABLES) == sorted(["values", "verdicts", "cells", EFFECTS, *RUN_TABLES, *PREDICTIONS])


def test_the_script_of_the_shell_is_printed_and_installed(tmp_path):
    env = os.environ | {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    (tmp_path / "fgbench").write_text("import sys\nfrom fgbench.cli import main\nsys.argv[0] = 'fgbench'\nmain()\n")

    def call(*words):
        command = [sys.executable, str(tmp_path / "fgbench"), *words]
        return subprocess.run(command, capture_output=True, text=True, env=env, check=True).stdout

    assert "complete -o default -F _fgbench_completion fgbench" in call("--show-completion", "bash")
    assert "bash completion installed in" in call("--install-completion", "bash")
    assert "_FGBENCH_COMPLETE=complete_bash" in (tmp_path / ".bash_completions/fgbench.sh").read_text()
    assert "fgbench.sh" in (tmp_path / ".bashrc").read_text()
