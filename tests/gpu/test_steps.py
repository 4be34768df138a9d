"""A training step, a prediction and a drawing make the host wait for the GPU only where a reason is given."""

import pytest
import torch
from simulated_gpu import SimulatedGpu
from steps import build_method, count_step, paper_recipes

from fgbench.datasets.pipeline import Pipeline
from fgbench.methods import methods
from fgbench.methods.base import Method
from fgbench.papers.recipes import load_recipes

ALLOWED: dict[str, tuple[int, str]] = {}
"""Waits in a step that are allowed, by method, with the reason."""
RECIPES = {recipe.key: (recipe, settings) for recipe, settings in paper_recipes()}


def kind_of(recipe, settings):
    """Return what decides which operations a recipe runs."""
    choices = [item for item in settings.options.items() if isinstance(item[1], bool | str) or item[0] == "pyramid"]
    return recipe.method, settings.backbones, tuple(sorted(choices))


ONE_OF_EACH = {kind_of(*pair): key for key, pair in RECIPES.items()}
STAGES = [(key, name) for key in ONE_OF_EACH.values() for name, _ in RECIPES[key][1].ordered_stages]


def unexpected(key, name):
    """Return the waits of a step of two images beyond those that are allowed."""
    recipe, settings = RECIPES[key]
    allowed, _ = ALLOWED.get(recipe.method, (0, ""))
    waits = count_step(recipe, settings, name, settings.stages[name], batch=2).waits
    return waits if len(waits) > allowed else ()


def test_every_method_that_a_recipe_trains_is_counted():
    names = {recipe.method for recipe in load_recipes().values()}
    kinds = {name: methods[name] for name in names}
    trained = {name for name, kind in kinds.items() if (kind.trunk, kind.forward) != (Method.trunk, Method.forward)}
    assert {recipe.method for recipe, _ in RECIPES.values()} == trained


@pytest.mark.parametrize(("key", "name"), STAGES)
def test_a_training_step_does_not_wait(key, name):
    assert unexpected(key, name) == ()


@pytest.mark.parametrize("key", ONE_OF_EACH.values())
def test_predictions_embeddings_and_drawings_do_not_wait(key):
    recipe, settings = RECIPES[key]
    side = Pipeline.parse(settings.test_pipeline).output_size
    with SimulatedGpu(values=False) as gpu:
        method = build_method(recipe, settings).to("cuda").eval()
        images = torch.zeros(2, 3, side, side, dtype=torch.uint8, device="cuda")
        gpu.clear()
        with torch.inference_mode():
            if recipe.method != "fv_cnn":  # its embedding needs a fitted mixture
                method.predict(images)
                method.embed(images)
            method.draw(images)
    assert gpu.waits == []


def test_a_planted_item_is_red(monkeypatch):
    head = Method.head
    monkeypatch.setattr(
        Method, "head", lambda self, features, target=None: head(self, features * features.amax().item())
    )
    assert unexpected("bcnn/bcnn_dd@cub", "finetune")


def test_a_planted_boolean_index_is_red(monkeypatch):
    head = Method.head
    monkeypatch.setattr(Method, "head", lambda self, features, target=None: head(self, features[features[:, 0] >= 0]))
    with pytest.raises(NotImplementedError, match="nonzero"):  # without values, the size of the result is not known
        unexpected("bcnn/bcnn_dd@cub", "finetune")


def test_a_planted_cpu_tensor_is_red(monkeypatch):
    head = Method.head
    scale = torch.ones(512 * 512)
    monkeypatch.setattr(Method, "head", lambda self, features, target=None: head(self, features * scale))
    with pytest.raises(RuntimeError, match="same device"):
        unexpected("bcnn/bcnn_dd@cub", "finetune")


def test_a_planted_cpu_generator_is_red(monkeypatch):
    head, draws = Method.head, torch.Generator()

    def planted(self, features, target=None):
        return head(self, features + torch.rand(features.shape, generator=draws, device=features.device))

    monkeypatch.setattr(Method, "head", planted)
    with pytest.raises(RuntimeError, match="generator"):
        unexpected("bcnn/bcnn_dd@cub", "finetune")
