"""A training step, a prediction and a drawing make the host wait for the GPU only where a reason is given."""

import re

import pytest
import torch
from documents import page
from simulated_gpu import SimulatedGpu
from steps import build_method, count_step, paper_recipes

from fgbench.datasets.pipeline import Pipeline
from fgbench.methods import methods
from fgbench.methods.base import Method
from fgbench.papers.recipes import load_recipes

GUIDE = page("docs/guides/gpu.md").read_text(encoding="utf-8").partition("<!-- end -->")[0]
ALLOWED: dict[str, tuple[int, str]] = {}
"""Waits in a step that are allowed, by method, with the reason."""
RECIPES = {recipe.key: (recipe, settings) for recipe, settings in paper_recipes()}


def kind_of(recipe, settings):
    """Return what decides which operations a recipe runs."""
    choices = [item for item in settings.options.items() if isinstance(item[1], bool | str) or item[0] == "pyramid"]
    return recipe.method, settings.backbones, tuple(sorted(choices))


ONE_OF_EACH = {kind_of(*pair): key for key, pair in reversed(RECIPES.items())}
"""The first recipe of each kind."""
STAGES = [(key, name) for key in ONE_OF_EACH.values() for name, _ in RECIPES[key][1].ordered_stages]
DOCUMENTED = re.findall(r"^\| (\S+@cub) \| (\w+) \|", GUIDE, re.MULTILINE)
"""Steps in the table of the guide."""


def unexpected(step):
    """Return the waits of a step beyond those that are allowed."""
    allowed, _ = ALLOWED.get(RECIPES[step.recipe][0].method, (0, ""))
    return step.waits if len(step.waits) > allowed else ()


def counts_of(key, name, batch=2):
    """Return the counts of a step of two images, or of another batch; None for that of the recipe."""
    recipe, settings = RECIPES[key]
    return count_step(recipe, settings, name, settings.stages[name], batch)


def test_every_method_that_a_recipe_trains_is_counted():
    names = {recipe.method for recipe in load_recipes().values()}
    kinds = {name: methods[name] for name in names}
    trained = {name for name, kind in kinds.items() if (kind.trunk, kind.forward) != (Method.trunk, Method.forward)}
    # FV-CNN starts from the trained network of FC-CNN.
    assert {recipe.method for recipe, _ in RECIPES.values()} == trained - {"fv_cnn"}


@pytest.mark.parametrize(("key", "name"), STAGES)
def test_a_training_step_does_not_wait_and_has_the_documented_counts(key, name):
    documented = (key, name) in DOCUMENTED
    step = counts_of(key, name, None if documented else 2)
    assert unexpected(step) == ()
    assert not documented or f"\n{step.row}\n" in GUIDE


def test_one_recipe_of_each_method_is_documented_with_all_its_stages():
    keys = {key for key, _ in DOCUMENTED}
    assert {RECIPES[key][0].method for key in keys} == {recipe.method for recipe, _ in RECIPES.values()}
    assert set(DOCUMENTED) == {(key, name) for key in keys for name in RECIPES[key][1].stages} <= set(STAGES)


@pytest.mark.parametrize("key", ONE_OF_EACH.values())
def test_predictions_embeddings_and_drawings_do_not_wait(key):
    recipe, settings = RECIPES[key]
    side = Pipeline.parse(settings.test_pipeline).output_size
    with SimulatedGpu(values=False) as gpu:
        method = build_method(recipe, settings).to("cuda").eval()
        images = torch.zeros(2, 3, side, side, dtype=torch.uint8, device="cuda")
        gpu.clear()
        with torch.inference_mode():
            method.predict(images)
            method.embed(images)
            method.draw(images)
    assert gpu.waits == []


def test_a_planted_item_is_red(monkeypatch):
    head = Method.head
    monkeypatch.setattr(
        Method, "head", lambda self, features, target=None: head(self, features * features.amax().item())
    )
    assert unexpected(counts_of("bcnn/bcnn_dd@cub", "finetune"))


def test_a_planted_boolean_index_is_red(monkeypatch):
    head = Method.head
    monkeypatch.setattr(Method, "head", lambda self, features, target=None: head(self, features[features[:, 0] >= 0]))
    with pytest.raises(NotImplementedError, match="nonzero"):  # without values, the size of the result is not known
        counts_of("bcnn/bcnn_dd@cub", "finetune")


def test_a_planted_cpu_tensor_is_red(monkeypatch):
    head = Method.head
    scale = torch.ones(512 * 512)
    monkeypatch.setattr(Method, "head", lambda self, features, target=None: head(self, features * scale))
    with pytest.raises(RuntimeError, match="same device"):
        counts_of("bcnn/bcnn_dd@cub", "finetune")


def test_a_planted_cpu_generator_is_red(monkeypatch):
    head, draws = Method.head, torch.Generator()

    def planted(self, features, target=None):
        return head(self, features + torch.rand(features.shape, generator=draws, device=features.device))

    monkeypatch.setattr(Method, "head", planted)
    with pytest.raises(RuntimeError, match="generator"):
        counts_of("bcnn/bcnn_dd@cub", "finetune")
