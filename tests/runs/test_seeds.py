"""Runs are repeated with further seeds only if values may depend on the seed."""

import mini
import mini_reid
import pytest
import torch

from fgbench.backbones import load_backbone
from fgbench.methods import Task, methods
from fgbench.metrics.search_rules import SearchRules
from fgbench.runs.planning import plan
from fgbench.runs.run import Changes, is_seeded
from fgbench.util.numeric.seeding import generator

METHODS = {
    "bcnn": {},
    "bcnn with a pyramid": {"pyramid": 2},
    "bcnn, Tensor Sketch": {"pooling": "tensor_sketch", "dims": 16},
    "bcnn, Random Maclaurin": {"pooling": "random_maclaurin", "dims": 16},
    "fc_cnn": {},
}


@pytest.mark.parametrize("name", METHODS)
def test_draws_is_true_only_if_descriptors_depend_on_the_seed(name):
    kind = methods[name.split()[0].rstrip(",")]
    options = kind.Options(**METHODS[name])
    backbone = load_backbone("squeezenet1_1", "pool" if name == "fc_cnn" else "features", pretrained=False)
    streams = [backbone] * (1 if name == "fc_cnn" else 2)
    images = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8, generator=generator(0, "images"))
    with torch.inference_mode():
        one, other = (kind(streams, Task(3, 64), options, generator(seed, "w")).embed(images) for seed in range(2))
    assert torch.equal(one, other) != kind.draws(options)


@pytest.mark.parametrize(
    ("name", "seeds"), [("bcnn_dd", 1), ("fc_cnn_d", 1), ("cbp_ts_dd", 3), ("fv_cnn_d", 3), ("fv_sift", 3)]
)
def test_one_seed_is_planned_if_nothing_is_trained_or_drawn(name, seeds):
    def planned(stages, changes):
        recipe = mini.recipe(name)
        overlay = recipe.profiles["quick"][-1].model_copy(update={"set": {"stages": stages, "classifier": "svm"}})
        profiles = {"quick": (*recipe.profiles["quick"], overlay)}
        return len(plan([recipe.model_copy(update={"profiles": profiles})], "quick", [0, 1, 2], changes=changes).runs)

    assert planned({}, Changes()) == seeds
    assert planned({}, Changes(shuffle_labels=True)) == 3
    assert planned({"finetune": mini.STAGE.model_dump()}, Changes()) == 3


@pytest.mark.parametrize(
    ("rules", "runs"),
    [
        ({"gallery": "all"}, 1),
        ({"gallery": "single_shot"}, 3),  # random galleries
        ({"gallery": "all", "splits": 3}, 3),  # each seed has its split
    ],
)
def test_person_search_without_training_uses_every_seed_if_something_depends_on_it(rules, runs):
    recipe = mini_reid.recipe(stages={})
    settings = recipe.settings.model_copy(update={"stages": {}, "ranking": SearchRules(metric="cosine", **rules)})
    assert is_seeded(recipe.method, settings, shuffled=False) == (runs > 1)
    if rules == {"gallery": "all"}:
        assert len(mini_reid.runs_of(recipe, (0, 1, 2))) == runs
