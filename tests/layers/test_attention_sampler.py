import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from fgbench.layers.attention_sampler import attention_sample, sampling_coordinates
from fgbench.util.errors import ArgumentError

READINGS = ("paper", "code")


def uniform(*shape, seed=0):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def marginal(attention, axis):
    rows = attention.tolist()
    return [max(column) for column in zip(*rows, strict=True)] if axis == "x" else [max(row) for row in rows]


def naive_paper(attention, size, height, width):
    """F(n) = sum of the marginal up to n, constant within a cell; inverted at the midpoints of equal shares."""

    def invert(density, pixels):
        total, out = sum(density), []
        for i in range(size):
            left, cell = (i + 0.5) / size * total, 0
            while left > density[cell]:
                left -= density[cell]
                cell += 1
            edge = (cell + left / density[cell]) / len(density)
            out.append(min(max(edge * pixels - 0.5, 0.0), pixels - 1.0))
        return out

    return invert(marginal(attention, "x"), width), invert(marginal(attention, "y"), height)


def naive_resize(attention, height, width):
    """Bilinear resize with aligned corners."""

    def place(i, n, m):
        at = i * (m - 1) / (n - 1) if n > 1 else 0.0
        low = min(int(at), max(m - 2, 0))
        return low, min(low + 1, m - 1), at - low

    values, out = attention.tolist(), []
    for i in range(height):
        top, bottom, v = place(i, height, len(values))
        out.append([])
        for j in range(width):
            left, right, u = place(j, width, len(values[0]))
            above = (1 - u) * values[top][left] + u * values[top][right]
            below = (1 - u) * values[bottom][left] + u * values[bottom][right]
            out[-1].append((1 - v) * above + v * below)
    return torch.tensor(out, dtype=torch.float64)


def naive_code(attention, size, side, squared, dense):
    """The operator for square images, in its own units: the values of a map add up to the size of the output."""
    resized = naive_resize(attention, side, side)
    if squared:
        resized = resized * resized
    x, y = ([v * size / sum(m) for v in m] for m in (marginal(resized, "x"), marginal(resized, "y")))
    for turn in range(5):
        limit = min(max(x), max(y))
        if turn == 0:
            limit = min(limit, dense * size / side)
        x, y = [min(v, limit) for v in x], [min(v, limit) for v in y]
        x, y = ([v + (size - sum(m)) / side for v in m] for m in (x, y))

    def invert(density):
        integral = [1.0]
        for v in density[1:]:
            integral.append(integral[-1] + v)
        out, j = [], 0
        for i in range(size):
            wanted = i * integral[-1] / size
            while integral[j] < wanted:
                j += 1
            out.append(j + (wanted - integral[j]) / (integral[j] - integral[j - 1]) if j else 0.0)
        return out

    return invert(x), invert(y)


def naive_sample(image, x, y):
    """Bilinear interpolation of one image (C, H, W) at all pairs of y and x in pixels."""
    channels, height, width = image.shape
    out = torch.zeros(channels, len(y), len(x), dtype=image.dtype)
    for i, at_y in enumerate(y):
        top = min(math.floor(at_y), height - 1)
        bottom, v = min(top + 1, height - 1), at_y - top
        for j, at_x in enumerate(x):
            left = min(math.floor(at_x), width - 1)
            right, u = min(left + 1, width - 1), at_x - left
            out[:, i, j] = (1 - v) * ((1 - u) * image[:, top, left] + u * image[:, top, right]) + v * (
                (1 - u) * image[:, bottom, left] + u * image[:, bottom, right]
            )
    return out


def close(result, naive):
    return torch.allclose(result, torch.as_tensor(naive, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize(
    ("cells", "pixels", "size"),
    [((4, 4), (12, 12), 5), ((3, 7), (10, 23), 8), ((5, 2), (5, 2), 11), ((1, 1), (1, 9), 3), ((6, 1), (4, 1), 1)],
)
def test_paper_inverts_the_integral_of_the_marginal_maxima(cells, pixels, size, squared):
    attention = uniform(3, *cells).pow(3)
    result = sampling_coordinates(attention, size, *pixels, squared=squared)
    assert result.x.shape == result.y.shape == (3, size)
    images = uniform(3, 2, *pixels, seed=1)
    sampled = attention_sample(images, attention, size, squared=squared)
    for b in range(3):
        x, y = naive_paper(attention[b] ** 2 if squared else attention[b], size, *pixels)
        assert close(result.x[b], x)
        assert close(result.y[b], y)
        assert close(sampled[b], naive_sample(images[b], x, y))


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("magnification", [1.0, 1.5, 4.0, 100.0])
@pytest.mark.parametrize(
    ("cells", "side", "size"),
    [((4, 4), 16, 7), ((3, 5), 13, 13), ((6, 6), 6, 10), ((14, 14), 32, 14), ((2, 2), 1, 3), ((1, 3), 8, 1)],
)
def test_code_equals_the_official_operator(cells, side, size, magnification, squared):
    attention = uniform(3, *cells, seed=2).pow(5)
    options = {"reading": "code", "squared": squared, "magnification": magnification}
    result = sampling_coordinates(attention, size, side, side, **options)
    images = uniform(3, 3, side, side, seed=1)
    sampled = attention_sample(images, attention, size, **options)
    for b in range(3):
        x, y = naive_code(attention[b], size, side, squared, magnification)
        assert close(result.x[b], x)
        assert close(result.y[b], y)
        assert close(sampled[b], naive_sample(images[b], x, y))


def test_clipping_in_the_code_changes_the_coordinates():
    """Otherwise the comparison with the operator would not test the clipping."""
    attention = torch.full((1, 8, 8), 0.001)
    attention[0, 2, 6] = 1
    free, limited = (
        sampling_coordinates(attention, 20, 40, 40, reading="code", magnification=m).x for m in (100.0, 4.0)
    )
    assert (free - limited).abs().max() > 1
    assert not torch.allclose(sampling_coordinates(attention, 20, 40, 40).x, free, atol=0.5)


@pytest.mark.parametrize("level", [0.0, 1e-30, 1.0, 1e30])
@pytest.mark.parametrize("squared", [False, True])
def test_constant_attention_is_a_bilinear_resize(level, squared):
    images = uniform(2, 3, 30, 42)
    attention = torch.full((2, 4, 5), level)
    resized = F.interpolate(images, (12, 12), mode="bilinear", align_corners=False)
    assert close(attention_sample(images, attention, 12, squared=squared), resized)
    where = sampling_coordinates(attention, 12, 30, 42, reading="code", squared=squared)
    for at, pixels in ((where.x, 42), (where.y, 30)):
        # The code starts with the mass of one output pixel: uniform up to one step.
        even = torch.arange(12, dtype=torch.float64) * pixels / 12
        assert (at - even).abs().max() < pixels / 12
        assert at.diff()[:, 1:].std() < 1e-5


def test_image_with_zero_attention_is_sampled_uniformly_in_any_batch():
    attention = uniform(2, 4, 4)
    attention[0] = 0
    for reading in READINGS:
        both = sampling_coordinates(attention, 6, 20, 20, reading=reading)
        assert torch.isfinite(both.x).all()
        even = sampling_coordinates(torch.ones(1, 4, 4), 6, 20, 20, reading=reading)
        other = sampling_coordinates(attention[1:], 6, 20, 20, reading=reading)
        assert torch.allclose(both.x, torch.cat([even.x, other.x]))
        assert torch.allclose(both.y, torch.cat([even.y, other.y]))


def test_samples_concentrate_on_a_hot_cell():
    """Row 1 and column 5 of 8 x 8: pixels 8 to 15 and 40 to 47 of 64."""
    attention = torch.zeros(1, 8, 8)
    attention[0, 1, 5] = 1
    x, y = sampling_coordinates(attention, 32, 64, 64)
    assert ((x >= 39.5) & (x <= 47.5)).all()
    assert ((y >= 7.5) & (y <= 15.5)).all()
    assert torch.allclose(x.diff(), torch.tensor(8 / 32).double())

    x, y = sampling_coordinates(attention, 32, 64, 64, reading="code")
    even = 32 * 16 / 64
    for at, hot in ((x, 5 * 63 / 7), (y, 1 * 63 / 7)):
        near = int(((at - hot).abs() <= 8).sum())
        assert 2 * even < near < 4 * even  # clipped: the rest of the image is still sampled
        assert ((at - hot).abs() > 16).any()
        assert float(at.diff().min()) < 64 / 32 / 3


def test_sample_lies_at_the_start_of_a_constant_integral():
    attention = torch.tensor([[[1.0, 0.0, 0.0, 1.0]]])
    where = sampling_coordinates(attention, 1, 12, 12)
    assert close(where.x[0], naive_paper(attention[0], 1, 12, 12)[0])
    assert where.x.item() == 2.5


def test_squared_attention_has_squared_ratios():
    attention = torch.tensor([[[1.0, 3.0]]])
    for squared, right in ((False, 15), (True, 18)):
        where = sampling_coordinates(attention, 20, 10, 10, squared=squared)
        assert int((where.x > 4.5).sum()) == right
        assert int((where.y > 4.5).sum()) == 10


@pytest.mark.parametrize("reading", READINGS)
def test_coordinates_are_non_decreasing_and_inside_the_image(reading):
    attention = uniform(50, 5, 9).pow(20)
    attention[:, :, 3:6] = 0
    x, y = sampling_coordinates(attention.float(), 40, 33, 57, reading=reading)
    assert (x.diff() >= 0).all()
    assert (y.diff() >= 0).all()
    assert (x >= 0).all()
    assert (x <= 56).all()
    assert (y >= 0).all()
    assert (y <= 32).all()


@pytest.mark.parametrize("reading", READINGS)
def test_transposed_images_and_attention_give_transposed_samples(reading):
    """This also holds for images that are not square."""
    images, attention = uniform(2, 3, 21, 35), uniform(2, 4, 6, seed=1).pow(4)
    turned = attention_sample(images.transpose(2, 3), attention.transpose(1, 2), 9, reading=reading)
    assert close(attention_sample(images, attention, 9, reading=reading), turned.transpose(2, 3))


@pytest.mark.parametrize("reading", READINGS)
def test_gradient_reaches_the_images_but_not_the_attention(reading):
    images = uniform(2, 2, 5, 4).requires_grad_()
    attention = uniform(2, 3, 3, seed=1).requires_grad_()
    assert gradcheck(lambda i: attention_sample(i, attention, 6, reading=reading, squared=True), (images,))
    attention_sample(images, attention, 6, reading=reading).sum().backward()
    assert attention.grad is None
    assert images.grad.sum() == pytest.approx(2 * 2 * 36)
    assert not attention_sample(images.detach(), attention, 6, reading=reading).requires_grad


@pytest.mark.parametrize("reading", READINGS)
def test_half_precision_uses_the_same_coordinates(reading):
    attention = uniform(1, 7, 7).half()
    ramp = torch.arange(512.0).expand(1, 1, 512, 512)
    exact = attention_sample(ramp, attention.float(), 224, reading=reading)
    half = attention_sample(ramp.half(), attention, 224, reading=reading)
    assert half.dtype == torch.float16
    assert (half.float() - exact).abs().max() <= 0.13  # half a unit in the last place between 256 and 512


def test_misuse_raises():
    images, attention = uniform(2, 3, 8, 8), uniform(2, 4, 4)
    with pytest.raises(ArgumentError, match="one map"):
        attention_sample(images, attention[:1], 4)
    for wrong in (images[0], images.long(), images[:0]):
        with pytest.raises(ArgumentError, match="B, C, H, W"):
            attention_sample(wrong, attention[: len(wrong)], 4)
    for shape in ((4, 4), (2, 1, 4, 4), (2, 0, 4)):
        with pytest.raises(ArgumentError, match="B, h, w"):
            sampling_coordinates(torch.ones(shape), 4, 8, 8)
    for value in (-1e-9, float("nan"), float("inf")):
        wrong = attention.clone()
        wrong[1, 2, 3] = value
        with pytest.raises(ArgumentError, match="finite and not negative"):
            attention_sample(images, wrong, 4)
    for numbers in ((0, 8, 8), (4, 0, 8), (4, 8, -1)):
        with pytest.raises(ArgumentError, match="1 or more"):
            sampling_coordinates(attention, *numbers)
    with pytest.raises(ArgumentError, match="1 or more"):
        attention_sample(images, attention, 0)
    for magnification in (0.99, float("nan")):
        with pytest.raises(ArgumentError, match="magnification"):
            attention_sample(images, attention, 4, reading="code", magnification=magnification)
    with pytest.raises(ArgumentError, match="did you mean 'paper'"):
        attention_sample(images, attention, 4, reading="papers")
