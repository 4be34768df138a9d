import re
from pathlib import Path

import pytest
from command_line import CALL
from verbs import COMMANDS, GROUPS, VERBS

from fgbench import cli

METAVARS = {"TEXT", "INTEGER", "FLOAT", "FILE", "FOLDER", "RECIPE", "CELL", "NETWORK:TAP", "NAME=VALUE", "SHELL"}
"""Words for the values of options."""
WITHOUT_RESULTS = {("doctor",), *(words for words in VERBS if words[0] in {"data", "weights"})}
"""Verbs that neither read nor write records."""


def page(words, option="--help", width=80):
    result = CALL.invoke(cli.app, [*words, option], env={"COLUMNS": str(width)}, prog_name="fgbench")
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_h_is_help(words):
    assert page(words, "-h") == page(words)


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_a_summary_is_one_whole_line(words):
    lines = page(words).partition("Commands:\n")[2].splitlines()
    names = [line.split()[0] for line in lines]
    assert names == list(GROUPS[words].commands)  # no line is the rest of another one
    for line in lines:
        assert len(line) <= 80
        assert re.fullmatch(r"  \S+ +[A-Z].*[^.]\.", line), line


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_page_has_no_types_of_python_and_fits(words):
    text = page(words)
    assert not re.search(r"<(str|int|float|path|list|Path)|\blist\[", text)
    assert max(map(len, text.splitlines())) <= 80
    for name in re.findall(r"^  (?:-\w, )?--[\w-]+ ([A-Z=:]+)\b", text, re.MULTILINE):
        assert name in METAVARS


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_verb_names_the_results_folder_alike(words):
    text = " ".join(page(words, width=200).split())
    default = "runs/nightly" if words == ("nightly",) else "runs"
    option = f"--results FOLDER Folder of records and unfinished work. [default: {default}]"
    assert (option in text) == (words not in WITHOUT_RESULTS)
    (named,) = [p for p in VERBS[words].params if p.name == "results"] or [None]
    assert (named is not None) == (words not in WITHOUT_RESULTS)
    assert named is None or Path(named.default) == Path(default)


def test_arguments_are_named_in_capitals_and_the_old_folder_is_hidden():
    assert "Usage: fgbench run [OPTIONS] RECIPE...\n" in page(("run",))
    assert "Usage: fgbench list [OPTIONS] [KIND] [PAPER]\n" in page(("list",))
    assert "Usage: fgbench verify [OPTIONS]\n" in page(("verify",))
    assert "Usage: fgbench compare [OPTIONS] BASE\n" in page(("compare",))
