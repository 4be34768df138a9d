import math

import pytest
import torch
from torch.autograd import gradcheck

from fgbench.layers.trilinear import CODE_SCALE, detail_map, random_channels, structure_map, trilinear_attention
from fgbench.util.errors import ArgumentError


def maps(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def softmax(values):
    weights = [math.exp(v - max(values)) for v in values]
    return [w / sum(weights) for w in weights]


def naive_attention(features, spatial, relation, scale):
    """N2(N1(X) X^T) X for each image, written as loops."""
    batch, channels, height, width = features.shape
    out = torch.zeros_like(features)
    for b in range(batch):
        x = [[float(features[b, c, i, j]) for i in range(height) for j in range(width)] for c in range(channels)]
        for c in range(channels):
            spatial_row = softmax([scale * v for v in x[c]]) if spatial else x[c]
            row = [sum(s * v for s, v in zip(spatial_row, x[d], strict=True)) for d in range(channels)]
            row = softmax(row) if relation else row
            for n in range(height * width):
                out[b, c, n // width, n % width] = sum(row[d] * x[d][n] for d in range(channels))
    return out


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (3, 5, 2, 7), (1, 1, 3, 1), (2, 4, 1, 1)])
@pytest.mark.parametrize("scale", [1.0, CODE_SCALE])
@pytest.mark.parametrize(
    ("normalisation", "spatial", "relation"),
    [("both", True, True), ("spatial", True, False), ("relation", False, True), ("none", False, False)],
)
def test_attention_equals_the_equation_of_the_paper(shape, scale, normalisation, spatial, relation):
    features = maps(*shape)
    result = trilinear_attention(features, normalisation=normalisation, scale=scale)
    assert result.shape == shape
    assert torch.allclose(result, naive_attention(features, spatial, relation, scale), rtol=0, atol=1e-9)


def test_defaults_are_those_of_the_paper():
    features = maps(2, 3, 2, 4)
    assert torch.equal(trilinear_attention(features), trilinear_attention(features, normalisation="both", scale=1.0))
    assert CODE_SCALE == 7
    assert not torch.allclose(trilinear_attention(features), trilinear_attention(features, scale=CODE_SCALE))


@pytest.mark.parametrize("normalisation", ["both", "spatial", "relation", "none"])
def test_gradient_of_attention(normalisation):
    features = maps(2, 3, 2, 3).requires_grad_()
    assert gradcheck(lambda x: trilinear_attention(x, normalisation=normalisation, scale=2.0), (features,))


def test_channels_active_at_one_position_share_a_map_and_large_features_stay_finite():
    """Two channels are active at the left, one at the right. A map mixes only channels with spatial overlap."""
    features = torch.zeros(1, 3, 2, 5, dtype=torch.float64)
    features[0, :2, 0, 0] = 100
    features[0, 2, 1, 4] = 100
    left, other_left, right = trilinear_attention(features)[0]
    assert torch.equal(left, other_left)
    assert left.flatten().argmax() == 0
    assert right.flatten().argmax() == 9
    assert left[1, 4] < 1e-9 * left[0, 0]
    assert torch.isfinite(trilinear_attention(1e4 * features.float(), scale=CODE_SCALE)).all()
    assert (trilinear_attention(torch.zeros(1, 3, 2, 5)) == 0).all()


def duplicated():
    """Masses 3, 1, 3, 2, 1 in integers, so that sums are exact. Channels of equal mass have different maps."""
    masses = [(1, 2), (0, 1), (3, 0), (1, 1), (1, 0)]
    return torch.tensor(masses, dtype=torch.float64)[None, :, None, :]


def test_structure_map_of_the_paper_is_the_mean_of_the_channels():
    attention = maps(2, 3, 4, 5)
    naive = torch.zeros(2, 4, 5, dtype=torch.float64)
    for b in range(2):
        for i in range(4):
            for j in range(5):
                naive[b, i, j] = sum(attention[b, c, i, j] for c in range(3)) / 3
    assert torch.allclose(structure_map(attention), naive, rtol=0, atol=1e-9)


def naive_unique_sum(attention, misplaced):
    out = torch.zeros(attention.shape[0], *attention.shape[2:], dtype=attention.dtype)
    for b, image in enumerate(attention):
        masses = [float(channel.sum()) for channel in image]
        order = sorted(range(len(masses)), key=lambda c: masses[c])
        for place, channel in enumerate(order):
            if place == 0 or masses[channel] != masses[order[place - 1]]:
                out[b] += image[place if misplaced else channel]
    return out


def test_unique_sum_counts_each_mass_once():
    attention = duplicated()
    assert structure_map(attention, reduction="unique_sum")[0, 0].tolist() == [1 + 0 + 1, 2 + 1 + 1]
    # The sorted masses are 1 1 2 3 3: the code keeps channels 0, 2 and 3.
    assert structure_map(attention, reduction="misplaced_unique_sum")[0, 0].tolist() == [1 + 3 + 1, 2 + 0 + 1]


@pytest.mark.parametrize(("reduction", "misplaced"), [("unique_sum", False), ("misplaced_unique_sum", True)])
def test_unique_sum_equals_the_naive_one(reduction, misplaced):
    """Small integers have many equal masses."""
    attention = torch.randint(0, 3, (6, 7, 2, 3), generator=torch.Generator().manual_seed(0)).double()
    result = structure_map(attention, reduction=reduction)
    assert torch.allclose(result, naive_unique_sum(attention, misplaced), rtol=0, atol=1e-9)
    assert not torch.allclose(result, naive_unique_sum(attention, not misplaced))


def test_without_duplicates_all_channels_count():
    attention = maps(2, 5, 3, 2)
    for reduction in ("unique_sum", "misplaced_unique_sum"):
        assert torch.allclose(structure_map(attention, reduction=reduction), attention.sum(1), rtol=0, atol=1e-9)
    assert torch.allclose(structure_map(attention) * 5, detail_map(attention, None), rtol=0, atol=1e-9)


def test_detail_map_is_one_channel_per_image_or_the_sum():
    attention = maps(3, 4, 2, 5)
    chosen = detail_map(attention, torch.tensor([2, 0, 3]))
    assert all(torch.equal(chosen[b], attention[b, c]) for b, c in enumerate([2, 0, 3]))
    naive = sum(attention[:, c] for c in range(4))
    assert torch.allclose(detail_map(attention, None), naive, rtol=0, atol=1e-9)


def test_gradient_of_reductions():
    attention = maps(2, 3, 2, 2).requires_grad_()
    channels = torch.tensor([2, 1])
    for reduce in (
        structure_map,
        lambda a: structure_map(a, reduction="unique_sum"),
        lambda a: detail_map(a, channels),
        lambda a: detail_map(a, None),
    ):
        assert gradcheck(reduce, (attention,))


def test_channels_are_uniform_independent_and_reproducible():
    attention = maps(4000, 4, 1, 1)
    drawn = random_channels(attention, torch.Generator().manual_seed(3))
    assert drawn.shape == (4000,)
    assert ((drawn.bincount(minlength=4) - 1000).abs() < 120).all()  # more than four standard deviations of 27
    assert torch.equal(drawn, random_channels(attention, torch.Generator().manual_seed(3)))
    assert not torch.equal(drawn, random_channels(attention, torch.Generator().manual_seed(4)))


def test_unique_channels_are_uniform_without_duplicates():
    attention = duplicated().expand(3000, -1, -1, -1)
    counts = random_channels(attention, torch.Generator().manual_seed(0), unique=True).bincount(minlength=5)
    assert counts[2] == counts[4] == 0
    assert ((counts[[0, 1, 3]] - 1000).abs() < 110).all()
    assert (random_channels(attention, torch.Generator().manual_seed(0)).bincount(minlength=5) > 450).all()


def test_misuse_raises():
    with pytest.raises(ArgumentError, match="did you mean 'spatial'"):
        trilinear_attention(maps(1, 2, 3, 3), normalisation="spacial")
    with pytest.raises(ArgumentError, match="did you mean 'unique_sum'"):
        structure_map(maps(1, 2, 3, 3), reduction="unique")
    with pytest.raises(ArgumentError, match="random_channels"):
        detail_map(maps(2, 2, 3, 3), torch.tensor([1]))
    for wrong in (maps(2, 3, 3), maps(1, 2, 0, 3), maps(0, 2, 3, 3)):
        with pytest.raises(ArgumentError, match="B, C, H, W"):
            trilinear_attention(wrong)
        with pytest.raises(ArgumentError, match="B, C, H, W"):
            structure_map(wrong)
        with pytest.raises(ArgumentError, match="B, C, H, W"):
            detail_map(wrong, None)
        with pytest.raises(ArgumentError, match="B, C, H, W"):
            random_channels(wrong, torch.Generator())
