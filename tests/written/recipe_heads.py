"""Writes the heads of recipes: the command that runs a recipe as its paper did, and the estimated cost of one seed.

A head stands directly above the table of its recipe:

    # fgbench run bcnn/bcnn_dd --profile paper
    # Estimate (one seed, H100 at half of its peaks): 1.2 h, GPU 30 GiB (32-true); disk 40 GiB.
    [recipes.bcnn_dd]

A file with `like` takes over recipes of another file. Their heads stand at its end.

`python -m tests.written.recipe_heads` writes all heads again. A test checks that they are what this program writes.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from fgbench.papers.printed import reproductions_root
from fgbench.papers.recipe_files import OTHER_FILES
from fgbench.papers.recipes import Recipe, load_recipes
from fgbench.records.run_cost import Expected
from fgbench.speed.machine_rates import ASSUMED_HOST, gpu_rates
from fgbench.speed.planned_costs import official_cost
from fgbench.util.errors import FgbenchError

HEAD = re.compile(r"# fgbench run [^\n]*\n# (?:Estimate|Not estimated)[^\n]*\n")
TABLE = re.compile(r"\[recipes\.(\w+)\]\n")
H100 = gpu_rates("h100")
GIB = 1024
"""MiB in a GiB."""


def command(recipe: Recipe) -> str:
    """Return the command that runs a recipe as its paper did."""
    data = "" if recipe.settings.data == "cub" else f" --data {recipe.settings.data}"
    return f"fgbench run {recipe.name}{data} --profile paper"


def head(recipe: Recipe) -> str:
    """Return the two lines of the head of a recipe."""
    precisions = [recipe.settings.precision]
    if recipe.own_settings(recipe.settings, "paper").stages:  # bfloat16 saves hours in a training only
        precisions.append("bf16-mixed")
    try:
        costs = {precision: _cost(recipe, precision) for precision in precisions}
    except FgbenchError as error:
        return f"# {command(recipe)}\n# Not estimated: {error.args[0]}.\n"
    parts = [f"{_short(c.wall_s / 3600)} h, GPU {_device_text(c)} ({name})" for name, c in costs.items()]
    disk = _gib(max(cost.disk_mib for cost in costs.values()))
    estimate = f"{'; '.join(parts)}; disk {disk}"
    return f"# {command(recipe)}\n# Estimate (one seed, H100 at half of its peaks): {estimate}.\n"


def _cost(recipe: Recipe, precision: str) -> Expected:
    settings = recipe.own_settings(recipe.settings, "paper").model_copy(update={"precision": precision})
    cost = official_cost(recipe, settings, H100, ASSUMED_HOST)
    if cost is None:
        raise FgbenchError("the number of images is not known")
    return cost


def _device_text(cost: Expected) -> str:
    """Return the memory of the GPU."""
    size_mib = cost.device_mib or 0.0
    return _gib(size_mib) + (", does not fit" if size_mib * 2**20 > H100.memory_bytes else "")


def _gib(size_mib: float) -> str:
    return f"{_short(size_mib / GIB)} GiB"


def _short(value: float) -> str:
    """Return a number with two significant digits."""
    return f"{float(f'{value:.2g}'):g}"


def with_heads(text: str, heads: Mapping[str, str]) -> str:
    """Return the text of a file of recipes in which each recipe has its head.

    Args:
        text: the text, with or without heads.
        heads: head of each recipe of the file, by the name of its table.
    """
    plain = HEAD.sub("", text).rstrip("\n") + "\n"
    taken_over = [head for name, head in heads.items() if name not in TABLE.findall(plain)]
    ending = "\n" + "".join(taken_over) if taken_over else ""
    return TABLE.sub(lambda table: heads[table[1]] + table[0], plain) + ending


def recipes_of(path: Path) -> list[Recipe]:
    """Return the recipes of a file."""
    name = re.compile(rf"{re.escape(path.parent.name)}/\w+@{re.escape(path.stem)}")
    return [recipe for key, recipe in load_recipes().items() if name.fullmatch(key)]


def files() -> list[Path]:
    """Return the files of recipes."""
    return sorted(path for path in reproductions_root().glob("*/*.toml") if path.stem not in OTHER_FILES)


if __name__ == "__main__":
    for file in files():
        heads = {recipe.name.partition("/")[2]: head(recipe) for recipe in recipes_of(file)}
        file.write_text(with_heads(file.read_text(encoding="utf-8"), heads), encoding="utf-8")
