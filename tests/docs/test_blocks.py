"""Every code block of README files and of docs/ is run by a test, or its lines are checked here."""

import configparser
import re
import shlex
import tomllib

import pytest
import typer
from documents import PAGES, ROOT, blocks, lines, page

from fgbench.cli.app import app
from fgbench.cli.chosen_recipes import choose_recipes
from fgbench.datasets import names
from fgbench.datasets.image_folder import PREFIX
from fgbench.judge.outside.cells import asked_cell
from fgbench.papers.recipes import load_recipes
from fgbench.util.errors import FgbenchError

RUN_ELSEWHERE = {
    page(f"docs/guides/{name}.md")
    for name in (
        "add_a_paper", "add_a_dataset", "add_a_method", "analyse", "judge", "loggers", "own_images", "trained_networks",
    )
}  # fmt: skip
"""Pages whose blocks are run by tests of their own."""
ADDED = {"demo/sift"}
"""Recipes that a page adds."""
COMMANDS = [(path, line) for path in PAGES for line in lines(path)]
TOX = configparser.ConfigParser()
TOX.read(ROOT / "tox.ini")
TOX_FGBENCH = {"reproduce-cub": "reproduce cub", "measure-cub-gpu": "run bcnn/bcnn_dd", "nightly": "nightly"}
"""Environments of tox that pass on their arguments to fgbench -> the verb with its arguments."""


def environments() -> set[str]:
    """Return the environments of tox.ini."""
    sections = [section.removeprefix("testenv:") for section in TOX.sections() if section.startswith("testenv:")]
    groups = [re.fullmatch(r"([\w-]+)\{(.+)\}", section) for section in sections]
    listed = {f"{group[1]}{name}" for group in groups if group for name in group[2].split(",")}
    return listed | {section for section in sections if "{" not in section}


def check_fgbench(arguments: list[str]) -> None:
    """Parse the arguments of fgbench without running the verb, and look up its recipes and data sets."""
    command, context = typer.main.get_command(app), None
    if arguments[0].startswith("--"):
        assert arguments[0] in {option for parameter in command.params for option in parameter.opts}
        return
    while hasattr(command, "commands"):
        name, *arguments = arguments
        context = command.make_context(command.name, [name], parent=context)
        assert name in command.commands, name
        command = command.commands[name]
    options = command.make_context(name, list(arguments), parent=context).params
    chosen = [*options.get("recipes", ()), *([options["recipe"]] if "recipe" in options else [])]
    if chosen and options["data"] != "leaves":
        choose_recipes(options["data"], [recipe for recipe in chosen if recipe not in ADDED])
    elif name == "reproduce":
        assert options["data"] in {"reid", *(recipe.settings.data for recipe in load_recipes().values())}
    elif name == "judge":
        asked_cell(options["cell"])
    elif context.info_name == "data" and "name" in options:
        assert options["name"].startswith(PREFIX) or options["name"] in {*names(), "leaves"}


def check_tox(arguments: list[str]) -> None:
    assert arguments[0] == "-e"
    chosen = arguments[1].split(",")
    assert set(chosen) <= environments()
    if "--" in arguments and chosen[0] in TOX_FGBENCH:
        check_fgbench([*TOX_FGBENCH[chosen[0]].split(), *arguments[arguments.index("--") + 1 :]])


def check_pip(arguments: list[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert arguments[0] in {"install", "wheel"}
    for match in re.finditer(r"(?:fgbench|\.)\[([\w,]+)\]", " ".join(arguments)):
        assert set(match[1].split(",")) <= set(extras)


def check_pytest(arguments: list[str]) -> None:
    assert all((ROOT / word).exists() for word in arguments if word.startswith(("tests", "benchmarks")))


def check_python(arguments: list[str]) -> None:
    if arguments[:2] == ["-m", "tests.faults"]:
        campaigns = (ROOT / "tests/faults/__main__.py").read_text(encoding="utf-8")
        assert all(f'"{name}": ' in campaigns for name in arguments[2:])
    elif arguments[0] == "-m" and arguments[1].startswith("tests."):
        assert (ROOT / f"{arguments[1].replace('.', '/')}.py").is_file()
    elif arguments[0] == "-m":
        assert arguments[1] in {"venv", "pip", "zipfile"}
    else:
        assert arguments[0].startswith("my_") or (ROOT / arguments[0]).is_file()


def check_torchrun(arguments: list[str]) -> None:
    start = arguments.index("-m")
    assert arguments[start + 1] == "fgbench"
    check_fgbench(arguments[start + 2 :])


def check_export(arguments: list[str]) -> None:
    known = [path.read_text(encoding="utf-8") for path in (ROOT / "fgbench").rglob("*.py")]
    for word in arguments:
        assert any(word.partition("=")[0] in text for text in known)


CHECKS = {
    "fgbench": check_fgbench, "tox": check_tox, "pip": check_pip, "pytest": check_pytest, "python": check_python,
    "python3": check_python, "torchrun": check_torchrun, "export": check_export,
}  # fmt: skip
USAGE_ERROR = typer.BadParameter.__base__
PLAIN = {"cp", "git", "ray", "rm"}
"""Commands of other programs, which are not checked."""


@pytest.mark.parametrize(("path", "line"), COMMANDS, ids=[f"{p.relative_to(ROOT)}: {line}" for p, line in COMMANDS])
def test_a_line_is_understood(path, line):
    for part in line.split(" && "):
        program, *arguments = shlex.split(part.replace(".venv/bin/", ""))
        if program not in PLAIN:
            CHECKS[program](arguments)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_block_is_run_or_checked(path):
    for block in blocks(path):
        if block.language == "toml":
            tomllib.loads(block.text)
        run = path in RUN_ELSEWHERE or (path == page("README.md") and block.language in {"python", "text"})
        assert run or block.language == "bash", block.text


@pytest.mark.parametrize(
    "line",
    [
        "fgbench run bcnn/bcnn_dd --sede 3",
        "fgbench run bcnn/bcnn_d",
        "fgbench run bcnn/cbq*",
        "fgbench run bcnn/t1/bcnn_dd/bird",
        "fgbench evaluate x.pth --recipe bcnn/bcnn_d",
        "fgbench judge x.csv --cell bcnn/t1/bcnn_dd/bird",
        "fgbench data get cup",
    ],
)
def test_a_mistake_in_a_line_is_found(line):
    with pytest.raises((AssertionError, FgbenchError, USAGE_ERROR)):
        check_fgbench(shlex.split(line)[1:])
