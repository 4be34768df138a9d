"""What can run here, what is missing, and the command that would get it."""

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import psutil

from fgbench._version import __version__
from fgbench.cli.console import out, table
from fgbench.util.files import cache_folder

PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "pandas", "pillow", "safetensors", "pydantic")


def examine() -> dict[str, Any]:
    """The machine, the packages, and every recipe with what it lacks, as plain values."""
    import torch

    from fgbench.datasets import find, names
    from fgbench.papers.recipes import load_recipes
    from fgbench.runs.planning import obstacles
    from fgbench.util.errors import FgbenchError

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


def show(found: dict[str, Any]) -> None:
    """Print an examination."""
    for part in ("machine", "packages", "data"):
        table(part, [{"what": key, "value": value} for key, value in found[part].items()])
    table("recipes", found["recipes"])
    blocked = sum(1 for row in found["recipes"] if row["get it by"])
    out(
        f"{len(found['recipes'])} recipes: all run under the profile quick, "
        f"{len(found['recipes']) - blocked} under paper"
    )
