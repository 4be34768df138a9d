"""Counted kernels: operations by kind, bytes, views, values of meta tensors, and the memory of a backward pass."""

from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from fgbench.papers.recipes import load_recipes
from fgbench.speed.kernels import count_kernels, saved_bytes
from fgbench.speed.run_kernels import Sizes, run_kernels
from fgbench.util.numeric.seeding import deterministic_operations

RECIPES = load_recipes()
BIRDS = Sizes(5994, 5794, 200)


def meta(*shape: int, **fields):
    return torch.empty(*shape, device="meta", **fields)


def test_a_product_a_convolution_and_its_gradients_count_by_kind():
    x, weight = meta(2, 3, 8, 8, requires_grad=True), meta(4, 3, 3, 3, requires_grad=True)
    kernels = count_kernels(lambda: F.conv2d(x, weight, padding=1).sum().backward())
    flop = 2 * (2 * 4 * 8 * 8) * (3 * 3 * 3)
    by_kind = {kernel.kind: kernel.flop for kernel in kernels if kernel.kind != "other"}
    assert by_kind == {"convolution": flop, "convolution_backward": 2 * flop}
    (product,) = count_kernels(lambda: meta(5, 7) @ meta(7, 11))
    assert (product.kind, product.flop) == ("product", 2 * 5 * 7 * 11)
    assert product.size_bytes == 4 * (5 * 7 + 7 * 11 + 5 * 11)


def test_views_and_allocations_are_no_kernels_and_other_operators_count_their_bytes():
    x = meta(6, 4)
    assert count_kernels(lambda: (x.t().reshape(-1)[:3], x[1:], x.detach(), torch.empty_like(x))[1:]) != []
    assert count_kernels(lambda: (x.t(), x[1:], x.view(-1), x.detach(), torch.empty_like(x))) == []
    (kernel,) = count_kernels(x.relu)
    assert (kernel.kind, kernel.flop, kernel.size_bytes) == ("other", 0, 2 * 4 * 24)


def test_checks_of_values_pass_on_meta_tensors_and_copies_to_the_cpu_stay_there():
    def work() -> None:
        assert torch.isfinite(meta(3)).all()
        assert meta(3).cpu().is_meta

    assert count_kernels(work)


def test_what_the_backward_pass_keeps_counts_once_and_without_weights():
    x, weight = meta(8, 16), meta(16, 16, requires_grad=True)
    with saved_bytes([weight]) as kept:
        hidden = (x @ weight).relu()  # keeps x and the output of relu
        (hidden @ weight + hidden @ weight).sum()  # keeps the same output
    assert kept[0] == 4 * (8 * 16 + 8 * 16)


def test_the_operations_of_b_cnn_are_those_of_its_layers():
    recipe = RECIPES["bcnn/bcnn_dd@cub"]
    kernels = run_kernels(recipe.method, recipe.settings, BIRDS)
    # The 13 convolutions of VGG-16 at 448 px, by hand.
    channels = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
    sides = (448, 448, 224, 224, 112, 112, 112, 56, 56, 56, 28, 28, 28)
    flop = sum(2 * 9 * a * b * s**2 for a, b, s in zip(channels, channels[1:], sides, strict=False))
    assert sum(k.flop for k in kernels.predict if k.kind == "convolution") / kernels.batch == flop
    classifier, finetune = kernels.stages
    assert (classifier.features_shape, finetune.features_shape) == ((262144,), ())
    assert sum(k.flop for k in finetune.step if k.kind == "convolution") == 64 * flop
    # The gradient of the first layer with respect to the image is not computed.
    first = 2 * 9 * 3 * 64 * 448**2
    assert sum(k.flop for k in finetune.step if k.kind == "convolution_backward") == 64 * (2 * flop - first)
    assert kernels.dims == 512 * 513 // 2
    weights = sum(9 * a * b + b for a, b in pairwise(channels)) + 262144 * 200 + 200
    assert finetune.gradient_bytes == finetune.state_bytes == 4 * weights  # momentum
    assert classifier.gradient_bytes == 4 * (262144 * 200 + 200)


@pytest.mark.parametrize(
    "key", {recipe.method: key for key, recipe in RECIPES.items() if not recipe.only_paper}.values()
)
def test_every_method_is_counted(key):
    recipe = RECIPES[key]
    parts = ("beak", "tail") if "parts" in recipe.train else ()
    settings = recipe.own_settings(recipe.resolve("quick"), "quick")
    kernels = run_kernels(recipe.method, settings, Sizes(100, 50, 10, parts))
    assert all(sum(kernel.flop for kernel in stage.step) > 0 for stage in kernels.stages)
    assert len(kernels.stages) == len(settings.stages)


def test_a_mixture_is_fitted_to_as_many_points_as_the_recipe_says():
    recipe = RECIPES["bcnn/fv_sift@cub"]
    kernels = run_kernels(recipe.method, recipe.settings, BIRDS)
    assert kernels.fits
    assert kernels.mixture == (256 * 1000, 80, 256)
    assert kernels.dims == 2 * 256 * 80


def test_the_operations_are_those_of_a_run_and_do_not_depend_on_earlier_work_of_the_process():
    recipe = RECIPES["tasn/tasn_r50@cub"]
    torch.use_deterministic_algorithms(False)
    before = run_kernels(recipe.method, recipe.settings, BIRDS)
    assert not torch.are_deterministic_algorithms_enabled()
    with deterministic_operations(warn_only=True):
        assert run_kernels(recipe.method, recipe.settings, BIRDS) == before
        assert torch.are_deterministic_algorithms_enabled()


def test_fixed_blocks_are_counted_apart_from_a_step():
    recipe = RECIPES["bcnn/bcnn_dd@cub"]
    whole = run_kernels(recipe.method, recipe.settings, BIRDS).stages[1]
    stage = run_kernels(recipe.method, recipe.settings.model_copy(update={"fixed_blocks": 4}), BIRDS).stages[1]

    def flop(kernels, kind):
        return sum(kernel.flop for kernel in kernels if kernel.kind == kind)

    last = 3 * 2 * 9 * 512 * 512 * 28**2
    assert flop(stage.step, "convolution") == 64 * last
    assert flop(stage.fixed, "convolution") == flop(whole.step, "convolution") - 64 * last
    # The first trained layer needs no gradient with respect to its input.
    assert flop(stage.step, "convolution_backward") == 64 * (2 * last - last / 3)
    assert stage.gradient_bytes == 4 * (3 * (9 * 512 * 512 + 512) + 262144 * 200 + 200)
    assert whole.fixed == ()


def test_fixed_blocks_of_a_method_that_makes_images_are_counted_as_they_run():
    recipe = RECIPES["tasn/tasn_r50@cub"]
    settings = recipe.resolve("quick")
    whole = run_kernels("tasn", settings, BIRDS).stages[-1]
    stage = run_kernels("tasn", settings.model_copy(update={"fixed_blocks": 1}), BIRDS).stages[-1]

    def forward(kernels):
        return sum(kernel.flop for kernel in kernels if kernel.kind == "convolution")

    assert 0 < forward(stage.fixed) < forward(whole.step)
    assert forward(stage.step) + forward(stage.fixed) == forward(whole.step)
