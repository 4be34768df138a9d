import numpy as np
import pytest
import torch

from fgbench.util.numeric import matmul as products
from fgbench.util.numeric.matmul import add_product, array_product, inner_products, linear, product, transposed_product


def matrix(rows, columns, seed, dtype=torch.float32):
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture(params=["onednn", "without"])
def library(request, monkeypatch):
    if request.param == "without":
        monkeypatch.setattr(products, "HAS_ONEDNN", False)
    return request.param


@pytest.mark.parametrize("shape", [(3, 5, 4), (1, 1, 1), (130, 700, 65), (64, 1, 3)])
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
def test_equals_the_product_in_double_precision(library, shape, turned):
    m, k, n = shape
    a, b = matrix(*((k, m) if turned[0] else (m, k)), 0), matrix(*((n, k) if turned[1] else (k, n)), 1)
    a, b = a.T if turned[0] else a, b.T if turned[1] else b
    assert torch.allclose(product(a, b).double(), a.double() @ b.double(), atol=1e-5 * k**0.5)
    assert np.allclose(array_product(a.numpy(), b.numpy()), a.numpy() @ b.numpy(), atol=1e-5 * k**0.5)


def test_parts_of_larger_matrices(library):
    whole, weight, bias = matrix(9, 20, 0), matrix(7, 20, 1), matrix(1, 7, 2)[0]
    x, part = whole[2:8, 3:11], weight[:, 3:11]
    assert torch.allclose(linear(x, part, bias), x @ part.T + bias, atol=1e-5)


def test_a_product_is_added_to_columns_of_a_matrix(library):
    total, x, weight = matrix(6, 12, 0), matrix(6, 5, 1), matrix(4, 5, 2)
    expected = total.clone()
    expected[:, 3:7] += x @ weight.T
    add_product(total[:, 3:7], x, weight)
    assert torch.allclose(total, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 700), (130, 65), (300, 20)])
def test_inner_products_of_rows(rows, columns, dtype):
    """One triangle is computed and copied to the other, so that both are the same numbers."""
    whole = matrix(rows + 2, columns + 5, 0, dtype)
    for x in (whole, whole[1:-1], whole[:, 2:-3], whole.T):
        result = inner_products(x)
        assert result.dtype == dtype
        assert torch.equal(result, result.T)
        assert torch.allclose(result.double(), x.double() @ x.double().T, atol=1e-5 * x.shape[1] ** 0.5)


def test_a_product_over_rows_of_whole_matrices_and_of_columns(library):
    a, b = matrix(50, 9, 0), matrix(50, 20, 1)
    for left, right in ((a, b), (a[:, 2:7], b), (a, b[:, 3:11]), (a[:, :1], b[:, 3:4])):
        assert torch.allclose(transposed_product(left, right), left.T @ right, atol=1e-5)


def test_double_precision_stays(library):
    a, b = matrix(4, 6, 0, torch.float64), matrix(6, 5, 1, torch.float64)
    assert torch.equal(product(a, b), a @ b)
    assert torch.equal(transposed_product(a.T, b), a @ b)


def test_an_empty_matrix(library):
    assert product(matrix(0, 4, 0), matrix(4, 3, 1)).shape == (0, 3)


def test_gradients_pass(library):
    a, b = matrix(3, 4, 0).requires_grad_(), matrix(4, 2, 1)
    product(a, b).sum().backward()
    assert torch.allclose(a.grad, b.sum(1).expand(3, 4))
    with torch.no_grad():
        assert not product(a, b).requires_grad


def test_a_torch_without_the_operation_uses_its_own_product(monkeypatch):
    class Absent:
        @property
        def _linear_pointwise(self):
            raise AttributeError

    monkeypatch.setattr(torch.ops, "mkldnn", Absent())
    assert not products._find_onednn()


@pytest.mark.filterwarnings("error")
def test_read_only_arrays():
    a = np.ones((3, 4), np.float32)
    a.flags.writeable = False
    assert np.array_equal(array_product(a, a.T), a @ a.T)
