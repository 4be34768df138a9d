"""The images from which the descriptors of a Gaussian mixture are drawn."""

import pytest
import torch
from made_methods import build

from fgbench.methods.base import FitContext
from fgbench.methods.some_images import evenly_spaced, of_chosen
from fgbench.util.numeric.seeding import generator


def test_chosen_images_of_batches_are_those_at_equal_distances():
    batches = [torch.arange(3)[:, None], torch.arange(3, 4)[:, None], torch.arange(4, 9)[:, None]]
    chosen = evenly_spaced(9, 4)
    assert chosen.nonzero().flatten().tolist() == [0, 3, 5, 8]
    assert torch.cat(list(of_chosen(batches, chosen))).flatten().tolist() == [0, 3, 5, 8]
    assert evenly_spaced(3, 5).all()


@pytest.mark.parametrize("fit_images", [0, 2, 9])
def test_the_mixture_is_fitted_to_the_chosen_images(fit_images, monkeypatch):
    """Descriptors of image k have the value k everywhere, so that the samples tell their images."""
    method, seen = build("fv_cnn", ["tiny_d:conv"], words=2, samples_per_word=20, fit_images=fit_images), []
    monkeypatch.setattr(method, "describe", lambda images: images[:, :1].float().flatten(2).transpose(1, 2))
    monkeypatch.setattr(method, "_fit_mixture", lambda samples, context: seen.append(samples))
    images = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 3, 8, 8)
    method.fit(lambda: iter([images[:3], images[3:]]), FitContext(5, generator(0, "fit"), lambda what: None))
    ((values, counts),) = [torch.unique(samples, return_counts=True) for samples in seen]
    assert values.tolist() == ([0, 4] if fit_images == 2 else [0, 1, 2, 3, 4])
    assert counts.tolist() == ([20, 20] if fit_images == 2 else [8] * 5)
