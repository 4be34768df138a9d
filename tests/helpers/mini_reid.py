"""Small re-identification runs on few synthetic persons."""

from functools import cache
from pathlib import Path

import mini  # shortens the training of the tiny networks
import numpy as np
from PIL import Image

from fgbench.datasets import ReidDataset, market1501, reid_datasets, viper
from fgbench.datasets.reid import ReidIndex
from fgbench.datasets.synthetic import pedestrians
from fgbench.datasets.synthetic.pedestrians import SyntheticPedestrians
from fgbench.metrics.person_search import chosen_splits, search_arrays, searched_rows
from fgbench.metrics.search_rules import SearchRules
from fgbench.metrics.values import measure
from fgbench.papers.recipe_files import Profile
from fgbench.papers.recipes import Recipe, load_recipes
from fgbench.runs.planning import plan
from fgbench.runs.run import Changes, Run

PERSONS = SyntheticPedestrians(
    identities_train=20, identities_test=16, cameras=3, images_per_camera=3, distractors=12, junk=8
)
PIPELINE = "resize(48, bilinear)"
STAGES = {
    "classifier": mini.STAGE.model_copy(
        update={"train": ("classifier",), "augment": False, "lr": 1.0, "epochs": 8}
    ).model_dump(),
    "finetune": mini.STAGE.model_copy(update={"step": 2, "epochs": 4}).model_dump(),
}


def draw_viper(root: Path) -> None:
    """Draw eight persons in the layout of VIPeR, each one colour with noise."""
    for number, camera in enumerate(("cam_a", "cam_b")):
        (root / camera).mkdir(parents=True)
        for person in range(8):
            rng = np.random.default_rng([person, number])
            colour = np.random.default_rng(person).integers(0, 255, 3)
            values = np.clip(colour + rng.normal(0, 60, (32, 16, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(values).save(root / camera / f"{person:03d}_{90 * number}.bmp")


for name, load, needed, make in (
    ("mini_persons", market1501.load, (market1501.QUERY,), lambda root: pedestrians.generate(root, PERSONS, workers=1)),
    ("mini_viper", viper.load, viper.CAMERAS, draw_viper),
):
    if name not in reid_datasets:
        folder = f"{name}-{pedestrians.settings_hash(PERSONS)}"
        reid_datasets(name)(ReidDataset(name=name, title=name, folder=folder, load=load, needed=needed, make=make))


def recipe(name: str = "bcnn_dm", of: str = "market1501", **changes: object) -> Recipe:
    """Return a recipe of the repository whose profile `quick` uses a mini data set."""
    found = load_recipes()[f"where_to_focus/{name}@{of}"]
    own = {
        "data": "mini_persons",
        "train_pipeline": PIPELINE + " | flip",
        "test_pipeline": PIPELINE,
        "stages": STAGES,
        **changes,
    }
    last = Profile(set=own)
    return found.model_copy(update={"profiles": {**found.profiles, "quick": (*found.profiles["quick"], last)}})


def runs_of(found: Recipe, seeds: tuple[int, ...] = (0,), **changes: object) -> tuple[Run, ...]:
    """Return the runs of a recipe under its mini profile."""
    return plan([found], "quick", seeds, device="cpu", changes=Changes(**changes)).runs  # type: ignore[arg-type]


@cache
def persons() -> ReidIndex:
    """Return the index of the mini persons."""
    return reid_datasets["mini_persons"].index()


def random_values(index: ReidIndex, rules: SearchRules, draws: int = 40) -> dict[str, np.ndarray]:
    """Return the values of many draws of random descriptors by name."""
    splits = chosen_splits(index, rules, 0)
    found = []
    for draw in range(draws):
        descriptors = np.random.default_rng(draw).normal(size=(len(searched_rows(splits)), 16))
        found.append(measure(search_arrays(descriptors, index, splits, rules, seed=0)))
    return {name: np.array([values[name].value for values in found]) for name in found[0]}
