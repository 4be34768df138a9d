"""`fgbench doctor`."""

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fgbench._version import __version__
from fgbench.cli.options import AsJson, Every
from fgbench.util.counted import counted


def doctor(every: Every = False, as_json: AsJson = False) -> None:
    """Show what can run on this machine, and how to get the rest."""
    from fgbench.cli.console import Answer

    with Answer(as_json=as_json) as answer:
        report = examine()
        answer.give(report, lambda: _show(report, every=every))


def _show(report: dict[str, Any], *, every: bool) -> None:
    """Print what can run here, and what is missing: a line for each obstacle, or for each recipe."""
    from fgbench.cli.catalogue_tables import show_missing
    from fgbench.cli.console import out, table

    for part in ("machine", "packages", "data"):
        table(part, [{"what": key, "value": value} for key, value in report[part].items()])
    if every:
        table("recipes", report["recipes"])
    else:
        missing = [row for row in report["recipes"] if row["get it by"]]
        show_missing([(row["paper"].partition(" (")[0], row["get it by"]) for row in missing], "recipe")
    runnable = sum(1 for row in report["recipes"] if not row["get it by"])
    out(f"{counted(len(report['recipes']), 'recipe')}: all run under the profile quick, {runnable} under paper")


def examine() -> dict[str, Any]:
    """Return machine, packages, data sets, and every recipe with its missing data or weights, as plain values."""
    import psutil
    import torch

    from fgbench.datasets import find, names
    from fgbench.papers.recipes import load_recipes
    from fgbench.records.provenance import PACKAGES
    from fgbench.runs.planning import obstacles
    from fgbench.util.errors import FgbenchError
    from fgbench.util.files import cache_folder

    recipes = load_recipes()
    missing = obstacles(list(recipes.values()))
    folder = cache_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    places = {}
    for name in names():
        try:
            places[name] = "made at first use" if find(name).synthetic else str(find(name).find())
        except FgbenchError as error:
            places[name] = f"missing: {error.hint}"
    return {
        "machine": {
            "fgbench": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            "memory": f"{psutil.virtual_memory().total >> 30} GiB",
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
            "FGBENCH_DATA": os.environ.get("FGBENCH_DATA", "not set"),
            "FGBENCH_WEIGHTS": os.environ.get("FGBENCH_WEIGHTS", "not set"),
            "cache": f"{folder} ({shutil.disk_usage(existing).free >> 30} GiB free)",
        },
        "packages": {name: _version(name) for name in PACKAGES},
        "data": places,
        "recipes": [
            {
                "recipe": key,
                "quick": "runs",
                "paper": "runs" if key not in missing else missing[key].reason,
                "get it by": "" if key not in missing else missing[key].command,
            }
            for key in recipes
        ],
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
