"""Under CUDA's autocast, networks compute in bfloat16, and the layers of the papers and all losses in single precision.

A mix of devices is an error. The tensors have no values, so that the images have the size of the paper.
"""

from unittest import mock

import pytest
import torch
from fake_gpu import fake_gpu, to_fake_gpu
from steps import PARTS, build_method
from test_graph_breaks import KEYS
from test_steps import RECIPES

from fgbench.datasets.pipeline import Pipeline
from fgbench.layers import bilinear
from fgbench.layers.gmm import Gmm
from fgbench.layers.pca import Pca
from fgbench.methods import Method, Target, methods
from fgbench.methods.fv_cnn import FvSiftOptions
from fgbench.papers.recipes import load_recipes

CLASSES = 5
HALF = torch.bfloat16
EXACT = {torch.float32, torch.float64}


def images(side):
    return torch.empty(2, 3, side, side, dtype=torch.uint8, device="cuda")


def step(key):
    """Compute the losses of a recipe for two images; return them with the types of all operations."""
    recipe, settings = RECIPES[key]
    with mock.patch("steps.CLASSES", CLASSES):
        method = build_method(recipe, settings).eval()
    with fake_gpu() as types:
        to_fake_gpu(method)
        points = torch.empty(2, len(PARTS), 3, device="cuda") if "parts" in method.NEEDS else None
        target = Target(torch.empty(2, dtype=torch.int64, device="cuda"), points)
        losses = method.losses(method(images(Pipeline.parse(settings.train_pipeline).output_size), target), target)
    return losses, types


def inexact_layers(types):
    """Return the operations of layers, of losses and of normalisations that have half precision."""
    losses = {"_log_softmax", "_softmax", "binary_cross_entropy_with_logits", "nll_loss_forward"}
    return [
        call
        for call, made in types.items()
        if (call[0].startswith("layers.") or call[1] in losses) and not made <= EXACT
    ]


@pytest.mark.parametrize("key", KEYS)
def test_layers_and_losses_of_a_step_have_single_precision(key):
    losses, types = step(key)
    assert {(loss.dtype, loss.device.type) for loss in losses.values()} == {(torch.float32, "cuda")}
    assert any(HALF in made for (module, name), made in types.items() if name == "convolution")
    assert any(module.startswith("layers.") or name == "_log_softmax" for module, name in types)
    assert inexact_layers(types) == []


def mixture(words, dims):
    return Gmm(*(torch.empty(*shape, device="cuda") for shape in ((words,), (words, dims), (words, dims))))


def test_fisher_vectors_have_single_precision():
    recipe = load_recipes()["bcnn/fv_cnn_d@cub"]
    fv_cnn = build_method(recipe, recipe.settings).eval()
    fv_sift = methods["fv_sift"]([], None, FvSiftOptions(words=4, pca=8), None)
    with fake_gpu() as types:
        to_fake_gpu(fv_cnn)
        fv_cnn.gmm, fv_sift.gmm = mixture(4, 512), mixture(4, 8)
        fv_sift.pca = Pca(torch.empty(128, device="cuda"), torch.empty(8, 128, device="cuda"))
        assert {method.embed(images(448)).dtype for method in (fv_cnn, fv_sift)} == {torch.float32}
    assert {module for module, _ in types} >= {"layers.gmm", "layers.fisher_vector", "layers.pca", "layers.dense_sift"}
    assert inexact_layers(types) == []


def test_a_planted_root_of_half_precision_is_red(monkeypatch):
    root = bilinear.l2_normalize
    monkeypatch.setattr("fgbench.methods.bcnn.l2_normalize", lambda x, epsilon: root(x, epsilon).bfloat16())
    monkeypatch.setattr(
        Method, "losses", lambda self, outputs, target: {"root": bilinear.signed_sqrt.__wrapped__(outputs.embedding)}
    )
    _, types = step("bcnn/bcnn_dd@cub")
    assert ("layers.bilinear", "sqrt") in inexact_layers(types)
