"""Layers on the simulated GPU: the values of the CPU, no waits, and only operations with a fixed order of sums."""

import pytest
import torch
from simulated_gpu import SimulatedGpu

from fgbench.layers.attention_sampler import attention_sample, sampling_coordinates
from fgbench.layers.boxes import crop_boxes, keypoint_boxes
from fgbench.layers.coordinate_transfer import coordinate_transfer
from fgbench.layers.grid import Grid
from fgbench.layers.keypoint_maps import decode_keypoints, encode_keypoints, keypoint_loss
from fgbench.layers.trilinear import detail_map, random_channels, structure_map, trilinear_attention

GRID = Grid(4.0, 8.0)
NONDETERMINISTIC = {
    "cumsum",
    "histc",
    "median",
    "put_",
    "grid_sampler_2d_backward",
    "upsample_bilinear2d_backward",
    "_upsample_bilinear2d_aa_backward",
    "_adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d_backward",
    "reflection_pad2d_backward",
    "nll_loss2d_backward",
}
"""Operations without a deterministic form on a GPU, from the documentation of torch.use_deterministic_algorithms."""


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def maps():
    return torch.rand(2, 6, 5, 4, generator=draw(1))


def points():
    return torch.cat([40 * torch.rand(2, 6, 2, generator=draw(2)), torch.ones(2, 6, 1)], dim=2)


def pixels():
    return torch.randint(0, 256, (2, 3, 20, 20), dtype=torch.uint8, generator=draw(3))


def attended(maps, pixels, points, **options):
    """TASN: attention, structure map, detail map of random channels, and the sampled images."""
    attention = trilinear_attention(maps.detach())
    detail = detail_map(attention, random_channels(attention, draw(), unique=True))
    structure = structure_map(attention, reduction="misplaced_unique_sum")
    return [attention_sample(pixels.float(), each, 9, **options) for each in (structure, detail)]


CASES = {
    "attention as printed": attended,
    "attention as in the code": lambda *inputs: attended(*inputs, reading="code", squared=True),
    "keypoint loss": lambda maps, pixels, points: [keypoint_loss(maps, encode_keypoints(points, GRID, 5, 4))],
    "keypoints": lambda maps, pixels, points: [decode_keypoints(maps, GRID, mode) for mode in ("argmax", "refined")],
    "coordinate transfer": lambda maps, pixels, points: [
        coordinate_transfer(maps, points, GRID, 3, pool) for pool in ("mean", "max")
    ],
    "crops": lambda maps, pixels, points: [crop_boxes(pixels, keypoint_boxes(points)[0], 8, 0.1).float()],
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_layers_have_the_values_of_the_cpu_and_never_wait(case):
    expected = case(maps(), pixels(), points())
    with SimulatedGpu() as gpu:
        inputs = [tensor.to("cuda") for tensor in (maps(), pixels(), points())]
        gpu.clear()
        found = case(inputs[0].requires_grad_(), *inputs[1:])
        total = sum(result.sum() for result in found)
        if total.requires_grad:
            total.backward()
        assert not gpu.waits
        assert not NONDETERMINISTIC & set(gpu.kernels)
        for result, reference in zip(found, expected, strict=True):
            torch.testing.assert_close(result.detach().cpu(), reference)


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (lambda x: sampling_coordinates(-x, 4, 8, 8), "attention is negative or not finite"),
        (lambda x: sampling_coordinates(x / 0, 4, 8, 8), "attention is negative or not finite"),
        (lambda x: decode_keypoints(x[None] / 0, GRID, "argmax"), "keypoint score is not finite"),
        (lambda x: encode_keypoints(x / 0, GRID, 4, 4), "visible keypoint is not finite"),
    ],
)
def test_wrong_values_fail_an_assertion_of_the_gpu(compute, message):
    with SimulatedGpu() as gpu:
        x = torch.ones(2, 3, 3, device="cuda")
        gpu.clear()
        with pytest.raises(RuntimeError, match=message):
            compute(x)
        assert not gpu.waits


@pytest.mark.parametrize("unique", [False, True])
def test_random_channels_are_those_of_torch_multinomial(unique):
    attention = torch.rand(5, 40, 2, 2, generator=draw())
    attention[:, 20:] = attention[:, :20]  # each mass twice
    for seed in range(5):
        weights = torch.ones(5, 40)
        if unique:
            weights[:, 20:] = 0
        expected = torch.multinomial(weights, 1, generator=draw(seed))[:, 0]
        assert torch.equal(random_channels(attention, draw(seed), unique=unique), expected)
