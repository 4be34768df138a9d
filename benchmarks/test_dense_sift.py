"""Dense SIFT of an image of 448 x 448 pixels at step 4, beside OpenCV on the same grid and kornia's descriptor."""

import numpy as np
import pytest
import torch
from race import OURS, Floor, Race

from fgbench.layers.dense_sift import dense_sift, dense_sift_grid

SIDE, BIN, STEP = 448, 8, 4
POINTS = 106 * 106


def image():
    return torch.rand(1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 255


def ours():
    given = image()
    return lambda: dense_sift(given, bin_size=BIN, step=STEP)


def opencv():
    """VLFeat's bins of 8 pixels are those of a keypoint of size 16."""
    cv2 = pytest.importorskip("cv2")
    cv2.setNumThreads(1)
    rows, columns = dense_sift_grid(SIDE, SIDE, bin_size=BIN, step=STEP)
    points = [cv2.KeyPoint(float(x), float(y), 2.0 * BIN) for y in rows for x in columns]
    grey, sift = image()[0].numpy().astype(np.uint8), cv2.SIFT_create()
    return lambda: sift.compute(grey, points)[1]


def kornia():
    feature = pytest.importorskip("kornia.feature")
    describe = feature.DenseSIFTDescriptor(spatial_bin_size=BIN, stride=STEP, padding=0)
    given = image()[:, None] / 255

    def work():
        with torch.inference_mode():
            return describe(given)

    return work


RACE = Race(
    f"dense SIFT, {SIDE} x {SIDE}, step {STEP}",
    {OURS: ours, "OpenCV on a grid": opencv, "kornia DenseSIFTDescriptor": kornia},
    at_least={"OpenCV on a grid": 60, "kornia DenseSIFTDescriptor": 1.4},
    peer_rounds={"OpenCV on a grid": 3},
    floor=Floor(
        # 8 maps, a triangle of 15 taps along rows of every column, then along columns of every fourth row.
        flop=2 * 15 * 8 * (SIDE * SIDE / STEP + (SIDE / STEP) ** 2),
        moved_bytes=4 * (SIDE * SIDE + POINTS * 128),
        says="sums of 8 maps under separable triangles; the image read and the descriptors written once",
    ),
)


@pytest.mark.parametrize("who", RACE.names)
def test_dense_sift(row, who):
    row(RACE, who)
