import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from fgbench.backbones import load_backbone
from fgbench.layers.bilinear import bilinear_pool
from fgbench.layers.compact_bilinear import RandomMaclaurin, TensorSketch, build_projection
from fgbench.methods import Task, methods
from fgbench.util.errors import ArgumentError
from fgbench.util.numeric.seeding import generator

KINDS = ("tensor_sketch", "random_maclaurin")
DIMS = (1, 7, 5000, 8192)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def maps(channels, size=(3, 4), seed=0, count=2):
    return torch.randn(count, channels, *size, dtype=torch.float64, generator=seeded(seed))


def build_layer(kind, channels=(5, 6), dims=7, seed=0):
    return build_projection(kind, channels, dims, seeded(seed)).double()


def count_sketch(x, bins, signs, dims):
    """Algorithm 2, steps 1 and 2: add every channel, with its sign, to its bin."""
    sketch = np.zeros(dims)
    for value, place, sign in zip(x, bins, signs, strict=True):
        sketch[place] += sign * value
    return sketch


def circular(a, b):
    """Circular convolution by definition."""
    result = np.zeros(len(a))
    for k in np.flatnonzero(a):
        result += a[k] * np.roll(b, k)
    return result


def naive_sketch(layer, x, y):
    hashes = {name: getattr(layer, name).numpy() for name in ("bins_a", "bins_b", "signs_a", "signs_b")}
    sketches = (count_sketch(v, hashes[f"bins_{s}"], hashes[f"signs_{s}"], layer.dims) for v, s in ((x, "a"), (y, "b")))
    return circular(*sketches)


def naive_maclaurin(layer, x, y):
    """Algorithm 1: (W1 x) o (W2 y) / sqrt(d)."""
    first, second = layer.rows_a.numpy(), layer.rows_b.numpy()
    return np.array([
        sum(w * v for w, v in zip(first[k], x, strict=True)) * sum(w * v for w, v in zip(second[k], y, strict=True))
        for k in range(layer.dims)
    ]) / layer.dims**0.5  # fmt: skip


NAIVE = {"tensor_sketch": naive_sketch, "random_maclaurin": naive_maclaurin}


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_mean_over_locations_of_the_definition(kind, dims):
    layer, a, b = build_layer(kind, dims=dims), maps(5), maps(6, seed=1)
    per_location = np.empty((2, dims, 3, 4))
    for n, i, j in np.ndindex(2, 3, 4):
        per_location[n, :, i, j] = NAIVE[kind](layer, a[n, :, i, j].numpy(), b[n, :, i, j].numpy())
    assert per_location.any()
    np.testing.assert_allclose(layer.at_each_location(a, b).numpy(), per_location, atol=1e-9, rtol=0)
    np.testing.assert_allclose(layer(a, b).numpy(), per_location.mean(axis=(2, 3)), atol=1e-9, rtol=0)
    assert layer.at_each_location(a, b).shape == (2, dims, 3, 4)


@pytest.mark.parametrize("dims", [1, 6, 7])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind, dims):
    layer = build_layer(kind, channels=(3, 2), dims=dims)
    a, b = maps(3, (2, 2)).requires_grad_(), maps(2, (2, 2), 1).requires_grad_()
    assert gradcheck(layer, (a, b))
    assert gradcheck(layer.at_each_location, (a, b))


@pytest.mark.parametrize("kind", KINDS)
def test_inner_product_equals_that_of_the_outer_products_in_expectation(kind):
    """The mean over 4000 seeds is within four standard errors of the truth, which is far from zero."""
    a, b = maps(5, (2, 2), seed=2), maps(4, (2, 2), seed=3)
    outer = bilinear_pool(a, b)
    products = []
    for seed in range(4000):
        pooled = build_layer(kind, (5, 4), 16, seed)(a, b)
        products.append([float(pooled[0] @ pooled[1]), float(pooled[0] @ pooled[0])])
    result = np.array(products)
    truth = np.array([float(outer[0] @ outer[1]), float(outer[0] @ outer[0])])
    error = result.std(axis=0) / len(result) ** 0.5
    assert (np.abs(result.mean(axis=0) - truth) < 4 * error).all()
    assert abs(truth[1]) > 20 * error[1]


@pytest.mark.parametrize("kind", KINDS)
def test_more_dimensions_reduce_the_error(kind):
    a, b = maps(8, seed=2), maps(8, seed=3)
    outer = bilinear_pool(a, b)
    truth = float(outer[0] @ outer[1])

    def spread(dims):
        pooled = [build_layer(kind, (8, 8), dims, seed)(a, b) for seed in range(60)]
        return np.mean([(float(p[0] @ p[1]) - truth) ** 2 for p in pooled]) ** 0.5

    assert spread(1024) < spread(64) / 2 < spread(4) / 4


def test_hashes_come_from_the_generator_and_take_all_values():
    sketch = TensorSketch((500, 400), 10, seeded())
    again, other = TensorSketch((500, 400), 10, seeded()), TensorSketch((500, 400), 10, seeded(1))
    for name, buffer in sketch.named_buffers():
        assert torch.equal(buffer, again.get_buffer(name))
        assert not torch.equal(buffer, other.get_buffer(name))
    assert set(sketch.bins_a.tolist()) == set(sketch.bins_b.tolist()) == set(range(10))
    assert not torch.equal(sketch.bins_a[:400], sketch.bins_b)
    assert not torch.equal(sketch.signs_a[:400], sketch.signs_b)
    rows = RandomMaclaurin((50, 40), 30, seeded())
    assert rows.rows_a.shape == (30, 50)
    assert rows.rows_b.shape == (30, 40)
    for signs in (sketch.signs_a, sketch.signs_b, rows.rows_a, rows.rows_b):
        assert set(signs.flatten().tolist()) == {-1.0, 1.0}
        assert abs(float(signs.mean())) < 0.2
    assert not list(sketch.parameters())
    assert not list(rows.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_single_precision_on_maps_of_realistic_size(kind):
    layer = build_projection(kind, (64, 48), 512, seeded())
    a, b = maps(64, (14, 14)).float().relu(), maps(48, (14, 14), 1).float().relu()
    per_location = layer.at_each_location(a, b)
    assert per_location.dtype == torch.float32
    torch.testing.assert_close(
        per_location.mean(dim=(2, 3)), layer(a, b), rtol=1e-4, atol=1e-4 * float(layer(a, b).abs().max())
    )


@pytest.mark.parametrize("kind", KINDS)
def test_misuse_raises(kind):
    with pytest.raises(ArgumentError, match="to 0 dimensions"):
        build_layer(kind, dims=0)
    with pytest.raises(ArgumentError, match=r"\(5, 0\) channels"):
        build_layer(kind, channels=(5, 0))
    layer = build_layer(kind)
    for call in (layer, layer.at_each_location):
        with pytest.raises(ArgumentError, match=r"of \(5, 6\) channels, not 6 and 5"):
            call(maps(6), maps(5))
        with pytest.raises(ArgumentError, match="align_maps"):
            call(maps(5), maps(6, (4, 3)))


@pytest.mark.parametrize(("options", "features"), [
    ({"pooling": "tensor_sketch", "dims": 33}, 33),
    ({"pooling": "random_maclaurin", "dims": 20, "pyramid": 2}, 100),
    ({"pyramid": 3}, 48 * 49 // 2 * 14),
])  # fmt: skip
def test_bcnn_saves_the_projection_in_its_state(options, features):
    kind = methods["bcnn"]

    def build(seed):
        stream = load_backbone("tiny_m", "conv", pretrained=False)
        return kind([stream, stream], Task(3, 32), kind.Options(**options), generator(seed, "w")).eval()

    method, other = build(0), build(1)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=seeded())
    with torch.inference_mode():
        embedding = method.embed(images)
        assert embedding.shape == (2, features)
        torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2), rtol=1e-4, atol=1e-4)
        assert torch.equal(build(0).embed(images), embedding)
        assert torch.equal(other.embed(images), embedding) == ("pooling" not in options)
        other.load_state_dict(method.state_dict())
        assert torch.equal(other.embed(images), embedding)
        trained = {
            id(p) for group in ("classifier", "backbone") for m in method.modules_of(group) for p in m.parameters()
        }
        assert trained == {id(p) for p in method.parameters()}
