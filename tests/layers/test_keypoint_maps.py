import math

import pytest
import torch
from torch.autograd import gradcheck

from fgbench.layers.grid import Grid
from fgbench.layers.keypoint_maps import decode_keypoints, encode_keypoints, keypoint_loss
from fgbench.metrics.keypoints import pck_hits
from fgbench.util.errors import ArgumentError

GRID = Grid(offset=7.5, stride=32.0)
HEIGHT, WIDTH = 4, 6


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def keypoints(images=3, parts=15, seed=0):
    """Some keypoints are outside the input image, some invisible."""
    places = torch.rand(images, parts, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 300 - 50
    return torch.cat([places, (random(images, parts, 1, seed=seed + 1) > -0.5).double()], dim=2)


def closest(coordinate, count):
    return min(range(count), key=lambda k: abs(GRID.offset + GRID.stride * k - coordinate))


def naive_maps(points):
    maps = torch.zeros(*points.shape[:2], HEIGHT, WIDTH)
    for n, image in enumerate(points.tolist()):
        for p, (x, y, visible) in enumerate(image):
            if visible:
                maps[n, p, closest(y, HEIGHT), closest(x, WIDTH)] = 1
    return maps


def test_only_the_closest_cell_of_a_visible_keypoint_is_positive():
    points = keypoints()
    outside = (points[:, :, 0] < 0) | (points[:, :, 1] > GRID.offset + GRID.stride * HEIGHT)
    assert (outside & (points[:, :, 2] > 0)).any()
    maps = encode_keypoints(points, GRID, HEIGHT, WIDTH)
    assert torch.equal(maps, naive_maps(points))
    assert torch.equal(maps.sum(dim=(2, 3)), points[:, :, 2].float())
    assert maps.dtype == torch.float32


@pytest.mark.parametrize(
    ("x", "y", "column", "row"),
    [
        (7.5, 7.5, 0, 0),
        (23.4, 7.5, 0, 0),
        (23.6, 7.5, 1, 0),
        (23.5, 55.5, 0, 1),  # halfway in x and in y: the first cell
        (55.5, 23.5, 1, 0),
        (-1e9, 1e9, 0, HEIGHT - 1),
        (1e9, -1e9, WIDTH - 1, 0),
    ],
)
def test_cells_of_known_keypoints(x, y, column, row):
    maps = encode_keypoints(torch.tensor([[[x, y, 1.0]]]), GRID, HEIGHT, WIDTH)
    assert maps.nonzero().tolist() == [[0, 0, row, column]]


def test_invisible_keypoints_are_negative_everywhere():
    points = torch.tensor([[[math.nan, 0.0, 0.0], [math.inf, 0, 0], [10, 10, 0]]])
    assert not encode_keypoints(points, GRID, HEIGHT, WIDTH).any()


def test_integer_keypoints():
    assert torch.equal(
        encode_keypoints(torch.tensor([[[40, 8, 1]]]), GRID, HEIGHT, WIDTH).nonzero()[0, 2:], torch.tensor([0, 1])
    )


@pytest.mark.parametrize(
    ("points", "size", "message"),
    [
        (torch.zeros(2, 15, 2), (4, 6), r"not \(images, keypoints, 3\)"),
        (torch.zeros(15, 3), (4, 6), r"not \(images, keypoints, 3\)"),
        (torch.zeros(2, 15, 3), (0, 6), "map of 0 x 6 cells"),
        (torch.zeros(2, 15, 3), (4, 0), "map of 4 x 0 cells"),
        (torch.tensor([[[0, 0, 1.0]], [[0, math.nan, 1]]]), (4, 6), "image 1 is not finite"),
    ],
)
def test_wrong_keypoints_raise(points, size, message):
    with pytest.raises(ArgumentError, match=message):
        encode_keypoints(points, GRID, *size)


def test_loss_equals_the_corrected_equation():
    logits, target = random(3, 5, HEIGHT, WIDTH), encode_keypoints(keypoints(parts=5), GRID, HEIGHT, WIDTH)
    expected = 0.0
    for score, truth in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True):
        probability = 1 / (1 + math.exp(-score))
        expected -= truth * math.log(probability) + (1 - truth) * math.log(1 - probability)
    assert keypoint_loss(logits, target).item() == pytest.approx(expected / 3, abs=1e-9)
    assert gradcheck(lambda x: keypoint_loss(x, target), (logits.requires_grad_(),))


def test_loss_of_zero_scores_is_one_bit_per_cell():
    assert keypoint_loss(torch.zeros(2, 3, 4, 5), torch.ones(2, 3, 4, 5)).item() == pytest.approx(60 * math.log(2))


def test_loss_is_finite_where_the_sigmoid_is_zero():
    logits = torch.tensor([[[[-1e4, 1e4]]]], requires_grad=True)
    loss = keypoint_loss(logits, torch.tensor([[[[1.0, 0.0]]]]))
    assert loss.item() == 2e4
    loss.backward()
    assert logits.grad.flatten().tolist() == [-1, 1]


def test_loss_of_half_precision_does_not_overflow():
    logits = torch.zeros(32, 15, 16, 16, dtype=torch.float16)
    assert keypoint_loss(logits, torch.zeros_like(logits)).item() == pytest.approx(15 * 256 * math.log(2), rel=1e-5)


@pytest.mark.parametrize(
    ("logits", "target"), [((2, 3, 4, 4), (2, 3, 4, 5)), ((2, 3, 4), (2, 3, 4)), ((0, 3, 4, 4),) * 2]
)
def test_loss_of_maps_that_do_not_fit_raises(logits, target):
    with pytest.raises(ArgumentError, match="do not fit target maps"):
        keypoint_loss(torch.zeros(logits), torch.zeros(target))


def naive_decode(logits, mode):
    images, parts, height, width = logits.shape
    out = torch.zeros(images, parts, 3, dtype=logits.dtype)
    for n in range(images):
        for p in range(parts):
            scores = logits[n, p].tolist()
            _, row, column = max((scores[r][c], -r, -c) for r in range(height) for c in range(width))
            row, column = -row, -column
            around = [(row, column)]
            if mode == "refined":
                around = [(row + dr, column + dc) for dr in (-1, 0, 1) for dc in (-1, 0, 1)]
                around = [(r, c) for r, c in around if 0 <= r < height and 0 <= c < width]
            weights = [1 / (1 + math.exp(-scores[r][c])) for r, c in around]
            total = sum(weights)
            x = sum(w * (GRID.offset + GRID.stride * c) for w, (_, c) in zip(weights, around, strict=True)) / total
            y = sum(w * (GRID.offset + GRID.stride * r) for w, (r, _) in zip(weights, around, strict=True)) / total
            out[n, p] = torch.tensor([x, y, 1 / (1 + math.exp(-scores[row][column]))], dtype=logits.dtype)
    return out


@pytest.mark.parametrize("mode", ["argmax", "refined"])
def test_decoding_equals_the_definition(mode):
    logits = random(4, 15, HEIGHT, WIDTH, seed=3)
    assert torch.allclose(decode_keypoints(logits, GRID, mode), naive_decode(logits, mode), atol=1e-9, rtol=0)


@pytest.mark.parametrize("mode", ["argmax", "refined"])
def test_gradient_of_decoding(mode):
    logits = random(2, 3, HEIGHT, WIDTH, seed=3).requires_grad_()
    assert gradcheck(lambda x: decode_keypoints(x, GRID, mode), (logits,))


def test_argmax_returns_the_centre_of_the_encoded_cell():
    points = keypoints()
    result = decode_keypoints(encode_keypoints(points, GRID, HEIGHT, WIDTH).double() * 20 - 10, GRID, "argmax")
    for (x, y, visible), (column, row, _) in zip(
        points.flatten(0, 1).tolist(), result.flatten(0, 1).tolist(), strict=True
    ):
        if visible:
            expected = [GRID.offset + GRID.stride * closest(v, n) for v, n in ((x, WIDTH), (y, HEIGHT))]
            assert [column, row] == expected


def test_first_of_equal_cells_wins():
    logits = torch.zeros(1, 1, 3, 3)
    logits[0, 0, 1, 2] = logits[0, 0, 2, 0] = 1
    assert decode_keypoints(logits, Grid(0, 1), "argmax")[0, 0, :2].tolist() == [2, 1]
    assert decode_keypoints(torch.zeros(1, 1, 3, 3), Grid(0, 1), "argmax")[0, 0].tolist() == [0, 0, 0.5]


def test_refined_ignores_cells_outside_the_map():
    """The best cell is in the corner, 4 of 3 x 3 cells are inside: probabilities 1/2, 1/4, 1/4 and (almost) 0."""
    logits = torch.full((1, 1, 3, 3), -1e3, dtype=torch.float64)
    logits[0, 0, 0, 0], logits[0, 0, 0, 1], logits[0, 0, 1, 0] = 0, -math.log(3), -math.log(3)
    expected = torch.tensor([[[2.5, 2.5, 0.5]]], dtype=torch.float64)
    assert torch.allclose(decode_keypoints(logits, Grid(0, 10), "refined"), expected, atol=1e-9)
    assert decode_keypoints(logits, Grid(0, 10), "argmax").tolist() == [[[0, 0, 0.5]]]


def test_refined_is_defined_where_every_probability_underflows():
    result = decode_keypoints(torch.full((1, 1, 3, 3), -1e4), Grid(0, 10), "refined")
    assert result.tolist() == [[[5, 5, 0]]]


def test_bfloat16_scores_give_exact_centres():
    logits = torch.zeros(1, 1, 1, 10, dtype=torch.bfloat16)
    logits[..., 9] = 1
    result = decode_keypoints(logits, Grid(111.5, 32), "argmax")
    assert result.dtype == torch.float32
    assert result[0, 0, :2].tolist() == [399.5, 111.5]


@pytest.mark.parametrize("mode", ["argmax", "refined"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_scores_that_are_not_finite_raise(mode, value):
    logits = torch.zeros(2, 3, 4, 4)
    logits[1, 2, 3, 0] = value
    with pytest.raises(ArgumentError, match="scores of image 1 are not finite"):
        decode_keypoints(logits, GRID, mode)


@pytest.mark.parametrize(
    ("shape", "mode", "message"),
    [
        ((2, 3, 4, 4), "softargmax", "'softargmax'"),
        ((2, 3, 4), "argmax", "keypoint scores have the shape"),
        ((2, 3, 0, 4), "argmax", "keypoint scores have the shape"),
    ],
)
def test_wrong_scores_or_modes_raise(shape, mode, message):
    with pytest.raises(ArgumentError, match=message):
        decode_keypoints(torch.zeros(shape), GRID, mode)


def test_perfect_scores_at_stride_32_have_a_low_pck_at_small_alpha():
    """A map of 16 x 16 cells limits PCK@0.02 to about 14 for birds of the size in CUB."""
    points = torch.rand(50, 15, 3, generator=torch.Generator().manual_seed(0)) * 500
    grid = Grid(10, 32)
    result = decode_keypoints(encode_keypoints(points, grid, 16, 16) * 20 - 10, grid, "argmax")[:, :, :2].numpy()
    truth = points.numpy()
    truth[:, :, 2] = 1
    boxes = torch.tensor([[0, 0, 300.0, 200.0]]).expand(50, 4).numpy()
    assert 5 < 100 * pck_hits(result, truth, boxes, 0.02).mean() < 20
    assert pck_hits(result, truth, boxes, 0.1).all()
