import math
from fractions import Fraction

import pytest
import torch
from torch.autograd import gradcheck

from fgbench.layers.bilinear import (
    align_maps,
    bilinear_pool,
    bilinear_pyramid,
    l2_normalize,
    signed_sqrt,
    symmetric_half,
)
from fgbench.util.errors import ArgumentError


def maps(channels, size, seed=0):
    return torch.randn(2, channels, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_pooling_is_the_mean_outer_product_over_locations():
    a, b = maps(3, 4), maps(5, 4, 1)
    naive = torch.zeros(2, 15, dtype=torch.float64)
    for n in range(2):
        for c in range(3):
            for d in range(5):
                naive[n, c * 5 + d] = sum(a[n, c, i, j] * b[n, d, i, j] for i in range(4) for j in range(4)) / 16
    assert torch.allclose(bilinear_pool(a, b), naive, atol=1e-12)
    assert gradcheck(bilinear_pool, (a.requires_grad_(), b.requires_grad_()))


def test_symmetric_half_keeps_inner_products_and_distances():
    draw = torch.Generator().manual_seed(0)
    whole = torch.randn(4, 3, 5, 5, dtype=torch.float64, generator=draw)
    whole = (whole + whole.transpose(2, 3)).flatten(1)
    half = symmetric_half(whole, 5)
    naive = [
        [
            row[k * 25 + i * 5 + j] * (1 if i == j else math.sqrt(2))
            for k in range(3)
            for i in range(5)
            for j in range(i, 5)
        ]
        for row in whole.tolist()
    ]
    torch.testing.assert_close(half, torch.tensor(naive, dtype=torch.float64), rtol=0, atol=1e-15)
    torch.testing.assert_close(half @ half.T, whole @ whole.T, rtol=1e-14, atol=0)
    torch.testing.assert_close(torch.cdist(half, half), torch.cdist(whole, whole), rtol=1e-6, atol=1e-6)


def test_maps_of_different_sizes_raise():
    with pytest.raises(ArgumentError, match="align_maps"):
        bilinear_pool(maps(3, 4), maps(3, 5))


def test_28_to_27_drops_the_middle_row_and_column_as_in_the_official_code():
    """MATLAB: round(linspace(1, 28, 27)), which rounds halves away from zero."""
    big = torch.arange(28.0).view(1, 1, 28, 1).expand(1, 1, 28, 28)
    kept, other = align_maps(big, torch.zeros(1, 1, 27, 27))
    rows = kept[0, 0, :, 0].int().tolist()
    steps = [1 + Fraction(27 * i, 26) for i in range(27)]
    assert [row + 1 for row in rows] == [math.floor(step + Fraction(1, 2)) for step in steps]
    assert set(range(1, 29)) - {row + 1 for row in rows} == {14}
    assert other.shape == (1, 1, 27, 27)
    assert align_maps(torch.zeros(1, 1, 27, 27), big)[1].shape == (1, 1, 27, 27)


def test_gradient_reaches_only_the_kept_rows():
    big = maps(2, 28).requires_grad_()
    kept, _ = align_maps(big, torch.zeros(2, 1, 27, 27))
    kept.sum().backward()
    assert int((big.grad[0, 0].sum(1) == 0).sum()) == 1


def test_signed_sqrt_and_its_finite_gradient():
    x = torch.tensor([-4.0, -1e-12, 0.0, 9.0], dtype=torch.float64, requires_grad=True)
    y = signed_sqrt(x, 1e-8)
    assert torch.allclose(y, torch.tensor([-2.0, -1e-6, 0.0, 3.0], dtype=torch.float64))
    y.sum().backward()
    expected = torch.tensor([0.5 / (a + 1e-8) ** 0.5 for a in (4.0, 1e-12, 0.0, 9.0)], dtype=torch.float64)
    assert torch.allclose(x.grad, expected)
    assert gradcheck(lambda x: signed_sqrt(x, 0.0), (torch.tensor([-3.0, 0.7, 2.0]).double().requires_grad_(),))


def test_l2_normalize_gives_length_one_and_keeps_zero():
    x = torch.cat([maps(3, 2).flatten(1), torch.zeros(1, 12, dtype=torch.float64)]).requires_grad_()
    y = l2_normalize(x)
    assert torch.allclose(y[:2].norm(dim=1), torch.ones(2, dtype=torch.float64))
    assert (y[2] == 0).all()
    y.sum().backward()
    assert torch.isfinite(x.grad).all()
    assert gradcheck(l2_normalize, (maps(3, 2, 3).flatten(1).requires_grad_(),))


@pytest.mark.parametrize(("one", "other"), [((28, 27), (27, 28)), ((5, 7), (4, 3)), ((4, 4), (4, 4)), ((1, 9), (6, 2))])
def test_border_drops_the_last_rows_and_columns(one, other):
    a, b = (torch.randn(2, c, *size, generator=torch.Generator().manual_seed(c)) for c, size in ((3, one), (2, other)))
    first, second = align_maps(a, b, "border")
    height, width = min(one[0], other[0]), min(one[1], other[1])
    assert first.shape == (2, 3, height, width)
    assert second.shape == (2, 2, height, width)
    for i in range(height):
        for j in range(width):
            assert torch.equal(first[:, :, i, j], a[:, :, i, j])
            assert torch.equal(second[:, :, i, j], b[:, :, i, j])


def test_dropped_rows_and_columns_get_no_gradient():
    big, small = maps(1, 5).requires_grad_(), maps(1, 4)
    for dropped, row in (("border", 4), ("middle", 2)):
        big.grad = None
        align_maps(big, small, dropped)[0].sum().backward()
        without_gradient = torch.zeros(5, 5, dtype=torch.bool)
        without_gradient[row], without_gradient[:, row] = True, True
        assert torch.equal(big.grad[0, 0] == 0, without_gradient)


def naive_pyramid(a, b, levels, cells="sum"):
    """Cell k of n covers the rows from floor(k H / n) to ceil((k + 1) H / n)."""
    height, width = a.shape[2:]
    result = []
    for n in levels:
        for k in range(n):
            for m in range(n):
                rows = range(math.floor(Fraction(k * height, n)), math.ceil(Fraction((k + 1) * height, n)))
                columns = range(math.floor(Fraction(m * width, n)), math.ceil(Fraction((m + 1) * width, n)))
                total = sum(a[:, :, None, i, j] * b[:, None, :, i, j] for i in rows for j in columns)
                result.append((total / (height * width if cells == "sum" else len(rows) * len(columns))).flatten(1))
    return torch.cat(result, dim=1)


@pytest.mark.parametrize("levels", [(1,), (1, 2), (1, 2, 3), (3, 1), (4,)])
@pytest.mark.parametrize("size", [(4, 4), (5, 7), (6, 4)])
@pytest.mark.parametrize("cells", ["sum", "mean"])
def test_pyramid_pools_each_cell_of_each_level(levels, size, cells):
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(2, c, *size, dtype=torch.float64, generator=generator) for c in (3, 2))
    result = bilinear_pyramid(a, b, bilinear_pool, levels, cells)
    assert result.shape == (2, 6 * sum(n * n for n in levels))
    torch.testing.assert_close(result, naive_pyramid(a, b, levels, cells), atol=1e-12, rtol=0)


def test_pyramid_cells_equal_adaptive_pooling():
    a, ones = maps(4, 7), torch.ones(2, 1, 7, 7, dtype=torch.float64)
    result = bilinear_pyramid(a, ones, bilinear_pool, (3,), "mean").view(2, 9, 4)
    expected = torch.nn.functional.adaptive_avg_pool2d(a, 3).flatten(2).transpose(1, 2)
    torch.testing.assert_close(result, expected)


def test_pyramid_gradient_and_misuse():
    a, b = (torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert gradcheck(lambda a, b: bilinear_pyramid(a, b, bilinear_pool, (1, 2)), (a, b))
    with pytest.raises(ArgumentError, match=r"levels \(1, 4\) needs larger maps than 3 x 3"):
        bilinear_pyramid(a, b, bilinear_pool, (1, 4))
    with pytest.raises(ArgumentError, match="align_maps"):
        bilinear_pyramid(a, b[..., :2], bilinear_pool, (1,))
