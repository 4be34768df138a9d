import pytest
import torch

from fgbench.layers.attention_sampler import attention_sample, sampling_coordinates
from fgbench.layers.bilinear import align_maps, bilinear_pool, bilinear_pyramid, outer_sum, symmetric_half
from fgbench.layers.boxes import crop_boxes, keypoint_boxes
from fgbench.layers.compact_bilinear import RandomMaclaurin, TensorSketch, build_projection
from fgbench.layers.coordinate_transfer import coordinate_transfer
from fgbench.layers.dense_sift import dense_sift, dense_sift_grid
from fgbench.layers.distillation import distillation_loss
from fgbench.layers.fisher_vector import fisher_vector
from fgbench.layers.glimpse_lstm import glimpse_lstm
from fgbench.layers.gmm import Gmm, fit_gmm
from fgbench.layers.grid import Grid
from fgbench.layers.keypoint_maps import decode_keypoints, encode_keypoints, keypoint_loss, window_cells
from fgbench.layers.location_attention import LocationSoftmax, attention_penalty, printed_expectation
from fgbench.layers.pca import fit_pca
from fgbench.layers.spatial_lstm import SpatialLstm, causal_neighbourhood
from fgbench.layers.trilinear import detail_map, structure_map, trilinear_attention
from fgbench.util.errors import ArgumentError

GRID = Grid(4.0, 8.0)
DRAW = torch.Generator()


def zeros(*shape):
    return torch.zeros(shape)


def spatial_lstm():
    return SpatialLstm(inputs=3, hidden=4, gates="both", output="o*tanh(c)", bias=True, generator=DRAW)


def location_softmax():
    return LocationSoftmax(height=5, width=6, hidden=4, generator=DRAW)


def mixture():
    return Gmm(torch.ones(1), zeros(1, 3), torch.ones(1, 3))


WRONG_CALLS = {
    "attention_sample": lambda: attention_sample(zeros(3, 8, 8), zeros(1, 4, 4), 4),
    "attention_sample, one map too few": lambda: attention_sample(zeros(2, 3, 8, 8), zeros(1, 4, 4), 4),
    "sampling_coordinates": lambda: sampling_coordinates(zeros(4, 4), 4, 8, 8),
    "align_maps": lambda: align_maps(zeros(3, 8, 8), zeros(3, 7, 7)),
    "bilinear_pool": lambda: bilinear_pool(zeros(2, 3, 8, 8), zeros(2, 3, 7, 7)),
    "outer_sum": lambda: outer_sum(zeros(2, 3, 8, 8), zeros(1, 3, 8, 8)),
    "symmetric_half": lambda: symmetric_half(zeros(2, 10), 3),
    "bilinear_pyramid": lambda: bilinear_pyramid(zeros(2, 3, 2, 2), zeros(2, 3, 2, 2), bilinear_pool, (1, 3)),
    "keypoint_boxes": lambda: keypoint_boxes(zeros(2, 5, 2)),
    "crop_boxes": lambda: crop_boxes(zeros(2, 3, 8, 8), zeros(3, 4), 4, 0.1),
    "TensorSketch": lambda: TensorSketch((3, 4), 7, DRAW)(zeros(2, 4, 5, 5), zeros(2, 3, 5, 5)),
    "TensorSketch.at_each_location": lambda: TensorSketch((3, 4), 7, DRAW).at_each_location(
        zeros(2, 3, 5, 5), zeros(2, 4, 5, 6)
    ),
    "RandomMaclaurin": lambda: RandomMaclaurin((3, 4), 7, DRAW)(zeros(2, 4, 5, 5), zeros(2, 3, 5, 5)),
    "build_projection": lambda: build_projection("tensor_sketch", (3, 0), 7, DRAW),
    "coordinate_transfer": lambda: coordinate_transfer(zeros(2, 3, 5, 5), zeros(2, 4, 4), GRID, 3),
    "dense_sift": lambda: dense_sift(zeros(40, 40)),
    "dense_sift_grid": lambda: dense_sift_grid(24, 60),
    "distillation_loss": lambda: distillation_loss(zeros(2, 5), zeros(2, 4), 10.0, detach=True),
    "fisher_vector": lambda: fisher_vector(zeros(7, 4), mixture()),
    "fit_gmm": lambda: fit_gmm(zeros(2, 3), 3, generator=DRAW),
    "fit_pca": lambda: fit_pca(zeros(9, 3), 4),
    "window_cells": lambda: window_cells(zeros(1, 1), zeros(1, 1), 2, 8, 8),
    "encode_keypoints": lambda: encode_keypoints(zeros(2, 5, 2), GRID, 8, 8),
    "keypoint_loss": lambda: keypoint_loss(zeros(2, 5, 8, 8), zeros(2, 5, 8, 7)),
    "decode_keypoints": lambda: decode_keypoints(zeros(5, 8, 8), GRID, "argmax"),
    "LocationSoftmax": lambda: location_softmax()(zeros(2, 5)),
    "printed_expectation": lambda: printed_expectation(zeros(2, 3, 5, 6), zeros(2, 6, 5)),
    "attention_penalty": lambda: attention_penalty(zeros(5, 6), 0.1),
    "SpatialLstm": lambda: spatial_lstm()(zeros(2, 4, 5, 6)),
    "SpatialLstm, wrong state": lambda: spatial_lstm()(zeros(2, 3, 5, 6), zeros(2, 5)),
    "causal_neighbourhood": lambda: causal_neighbourhood(zeros(3, 5, 6)),
    "glimpse_lstm": lambda: glimpse_lstm(
        zeros(2, 3, 6, 5), spatial_lstm(), location_softmax(), zeros(2, 4), zeros(2, 4)
    ),
    "glimpse_lstm, wrong state": lambda: glimpse_lstm(
        zeros(2, 3, 5, 6), spatial_lstm(), location_softmax(), zeros(2, 4), zeros(1, 4)
    ),
    "trilinear_attention": lambda: trilinear_attention(zeros(3, 8, 8)),
    "structure_map": lambda: structure_map(zeros(3, 8, 8)),
    "detail_map": lambda: detail_map(zeros(2, 3, 8, 8), torch.tensor([0])),
}


@pytest.mark.parametrize("call", WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_wrong_shapes_raise_a_value_error(call):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()
    assert isinstance(raised.value, ArgumentError)
