import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from fgbench.layers.pca import fit_pca, fit_pca_of_maps
from fgbench.util.errors import ArgumentError


def points():
    draw = torch.Generator().manual_seed(0)
    mixing = torch.tensor([[1.0, 0.5, 0], [0, 1, 0.3], [0.2, 0, 1]], dtype=torch.float64)
    return torch.randn(200, 3, generator=draw, dtype=torch.float64) @ mixing * torch.tensor([3.0, 1.0, 0.5]) + 7


def test_equals_scikit_learn_up_to_sign():
    x = points()
    pca, reference = fit_pca(x, 2), PCA(2).fit(x.numpy())
    assert np.allclose(pca.project(x).abs().numpy(), np.abs(reference.transform(x.numpy())), atol=1e-9)


def test_largest_entry_of_each_direction_is_positive():
    components = fit_pca(points(), 3).components
    assert (components.gather(1, components.abs().argmax(1, keepdim=True)) > 0).all()


def test_misuse_raises():
    with pytest.raises(ArgumentError, match="4 dimensions"):
        fit_pca(points(), 4)
    with pytest.raises(ArgumentError, match="not finite"):
        fit_pca(torch.full((9, 3), torch.nan), 2)


def test_maps_in_batches_give_the_projection_of_all_cells():
    cells = points().float()
    maps = cells.reshape(10, 4, 5, 3).permute(0, 3, 1, 2)  # (B, D, H, W)
    found, expected = fit_pca_of_maps(maps.split(3), 2), fit_pca(cells, 2)
    torch.testing.assert_close(found.mean, expected.mean)
    torch.testing.assert_close(found.components, expected.components, atol=1e-5, rtol=0)


def test_maps_that_do_not_fit_raise():
    with pytest.raises(ArgumentError, match="too few"):
        fit_pca_of_maps([torch.zeros(1, 3, 1, 1)], 2)
    with pytest.raises(ArgumentError, match="too few"):
        fit_pca_of_maps([], 2)
    with pytest.raises(ArgumentError, match="not finite"):
        fit_pca_of_maps([torch.full((1, 3, 2, 2), torch.nan)], 2)
