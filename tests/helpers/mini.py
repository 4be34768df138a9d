"""Small runs on few synthetic birds. As a program: `mini.py RECIPE FOLDER` executes one run."""

import sys
from pathlib import Path

from fgbench.datasets import Dataset, cub, datasets
from fgbench.datasets.synthetic.birds import SyntheticBirds, generate, settings_hash
from fgbench.papers.recipes import Recipe, load_recipes
from fgbench.papers.settings import Stage
from fgbench.records.record import Record
from fgbench.records.store import store_of
from fgbench.runs.executors.runner import do_run
from fgbench.runs.planning import plan
from fgbench.runs.run import Changes, Run
from fgbench.runs.training import tiny_weights as pretrain

BIRDS = SyntheticBirds(classes=4, train_per_class=40, test_per_class=20, size=64, first_class=4)
PIPELINE = "resize_short(48, bilinear) | center_crop(48)"
STAGE = Stage(
    step=1, train=("classifier", "backbone"), epochs=4, batch_size=16, lr=0.02, momentum=0.9, weight_decay=5e-4
)

pretrain.BIRDS = SyntheticBirds(classes=6, train_per_class=12, test_per_class=1, size=64, first_class=1000)
pretrain.PIPELINE = PIPELINE + " | flip"
pretrain.STAGE = STAGE.model_copy(update={"epochs": 5})
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


def recipe(name: str) -> Recipe:
    """Return a recipe of the repository whose profile `quick` uses the mini birds."""
    found = load_recipes()[f"bcnn/{name}@cub"]
    first = STAGE.model_copy(update={"train": ("classifier",), "augment": False, "lr": 1.0})
    stages = {"fv_sift": {}, "bcnn_dm": {"classifier": first, "finetune": STAGE.model_copy(update={"step": 2})}}
    changes = {
        "data": "mini_birds",
        "train_pipeline": PIPELINE + " | flip",
        "test_pipeline": "resize_short(64) | center_crop(64)" if name == "fv_sift" else PIPELINE,
        "stages": {key: stage.model_dump() for key, stage in stages.get(name, {"finetune": STAGE}).items()},
    }
    smaller = {"options": {"words": 8, **({"pca": 24} if name == "fv_sift" else {})}} if name.startswith("fv") else {}
    last = found.profiles["quick"][0].model_copy(update={"set": {**changes, **smaller}})
    return found.model_copy(update={"profiles": {**found.profiles, "quick": (*found.profiles["quick"], last)}})


def run_of(name: str, *, seed: int = 0, changes: Changes | None = None, device: str = "cpu") -> Run:
    """Return one run of a recipe under its mini profile."""
    (run,) = plan([recipe(name)], "quick", [seed], device=device, changes=changes or Changes()).runs
    return run


def do(run: Run, folder: Path) -> Record:
    """Execute a run; its record is in `folder`/records."""
    do_run(run, folder, lambda what, share: None)
    return store_of(folder).read(run.id)


if __name__ == "__main__":
    do(run_of(sys.argv[1]), Path(sys.argv[2]))
