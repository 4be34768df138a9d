"""Small runs on few synthetic birds. As a program: `mini.py RECIPE FOLDER` executes one run."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from fgbench.datasets import Dataset, cub, datasets
from fgbench.datasets.synthetic.birds import SyntheticBirds, generate, settings_hash
from fgbench.papers.recipes import Recipe, load_recipes
from fgbench.papers.settings import Stage
from fgbench.records.record import Record
from fgbench.records.store import store_of
from fgbench.runs.executors.pool import Report
from fgbench.runs.executors.runner import do_run
from fgbench.runs.planning import plan
from fgbench.runs.run import Changes, Run

BIRDS = SyntheticBirds(classes=4, train_per_class=40, test_per_class=20, size=64, first_class=4)
PIPELINE = "resize_short(48, bilinear) | center_crop(48)"
STAGE = Stage(
    step=1, train=("classifier", "backbone"), epochs=4, batch_size=16, lr=0.02, momentum=0.9, weight_decay=5e-4
)

DATASET = datasets("mini_birds")(
    Dataset(
        name="mini_birds",
        title="a few synthetic birds",
        folder=f"mini-{settings_hash(BIRDS)}",
        load=cub.load,
        needed=("images.txt", "images"),
        make=lambda root: generate(root, BIRDS, workers=1),
    )
)


def recipe(name: str, *, starts: bool = False) -> Recipe:
    """Return a recipe of the repository whose profile `quick` uses the mini birds.

    Args:
        name: of the recipe.
        starts: if it starts from the network of another recipe: take that, instead of training all stages.
    """
    found = load_recipes()[f"bcnn/{name}@cub"]
    start = found.start
    if start:
        kept = {} if starts else {"starts_from": "", "backbones": (*found.settings.backbones, "vgg16:relu7")}
        settings = found.settings.model_copy(update=kept)
        parent = recipe(start.name.partition("/")[2]) if starts else None
        found = found.model_copy(update={"settings": settings, "start": parent})
    first = STAGE.model_copy(update={"train": ("classifier",), "augment": False, "lr": 1.0})
    stages = {"fv_sift": {}, "bcnn_dm": {"classifier": first, "finetune": STAGE.model_copy(update={"step": 2})}}
    changes = {
        "data": "mini_birds",
        "train_pipeline": PIPELINE + " | flip",
        "test_pipeline": "resize_short(64) | center_crop(64)" if name == "fv_sift" else PIPELINE,
        "stages": {key: stage.model_dump() for key, stage in stages.get(name, {"finetune": STAGE}).items()},
    }
    # Which of several Gaussians a point starts in differs with the last digit of a feature map; two are steady.
    options = {"fv_sift": {"words": 8, "pca": 24}, "fv_cnn_d": {"words": 2}}
    smaller = {"options": options[name]} if name in options else {}
    last = found.profiles["quick"][0].model_copy(update={"set": {**changes, **smaller}})
    return found.model_copy(update={"profiles": {**found.profiles, "quick": (*found.profiles["quick"], last)}})


def run_of(
    name: str, *, seed: int = 0, changes: Changes | None = None, device: str = "cpu", starts: bool = False
) -> Run:
    """Return one run of a recipe under its mini profile."""
    chosen = recipe(name, starts=starts)
    (run,) = plan([chosen], "quick", [seed], device=device, changes=changes or Changes()).runs
    return run


def quick_run(key: str, **changes: Any) -> Run:
    """Return one run of any recipe under its own profile `quick`, on the mini birds with one epoch and 16 images."""
    recipe = _on_mini_birds(load_recipes()[key])
    (run,) = plan([recipe], "quick", [0], changes=Changes(**{"epochs": 1, "limit": 16, **changes})).runs
    return run


def _on_mini_birds(found: Recipe) -> Recipe:
    """Return a recipe whose profile `quick` uses the mini birds, and so does the recipe from which it starts."""
    first, *others = found.profiles["quick"]
    first = first.model_copy(update={"set": {**first.set, "data": "mini_birds"}})
    start = found.start and _on_mini_birds(found.start)
    return found.model_copy(update={"profiles": {**found.profiles, "quick": (first, *others)}, "start": start})


def do(run: Run, folder: Path) -> Record:
    """Execute a run, after the run from whose network it starts; its record is in `folder`/records."""
    if run.parent:
        do(replace(run.parent, keep_network=True, network_needed=True), folder)
    do_run(run, folder, lambda what, share: None)
    return store_of(folder).read(run.id)


def do_task(run: Run, folder: Path, report: Report) -> None:
    """Execute a run in a process of a pool, which imports this file for it."""
    do_run(run, folder, report)


if __name__ == "__main__":
    do(run_of(sys.argv[1]), Path(sys.argv[2]))
