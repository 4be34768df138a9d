"""Dense SIFT of an image of 448 x 448 pixels at step 4, compared with OpenCV on the same grid and with kornia."""

import numpy as np
import pytest
import torch
from race import FGBENCH, Floor, Race

from fgbench.layers.dense_sift import dense_sift, dense_sift_grid

SIDE, BIN, STEP = 448, 8, 4
POINTS = 106 * 106


def image():
    return torch.rand(1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 255


def fgbench_entrant():
    x = image()
    return lambda: dense_sift(x, bin_size=BIN, step=STEP)


def opencv():
    """Return OpenCV's SIFT; a keypoint of size 16 has bins of 8 pixels, as in VLFeat."""
    cv2 = pytest.importorskip("cv2")
    cv2.setNumThreads(1)
    rows, columns = dense_sift_grid(SIDE, SIDE, bin_size=BIN, step=STEP)
    points = [cv2.KeyPoint(float(x), float(y), 2.0 * BIN) for y in rows for x in columns]
    grey, sift = image()[0].numpy().astype(np.uint8), cv2.SIFT_create()
    return lambda: sift.compute(grey, points)[1]


def kornia():
    feature = pytest.importorskip("kornia.feature")
    describe = feature.DenseSIFTDescriptor(spatial_bin_size=BIN, stride=STEP, padding=0)
    x = image()[:, None] / 255

    def work():
        with torch.inference_mode():
            return describe(x)

    return work


RACE = Race(
    f"dense SIFT, {SIDE} x {SIDE}, step {STEP}",
    {FGBENCH: fgbench_entrant, "OpenCV on a grid": opencv, "kornia DenseSIFTDescriptor": kornia},
    at_least={"OpenCV on a grid": 60, "kornia DenseSIFTDescriptor": 1.4},
    peer_rounds={"OpenCV on a grid": 3},
    floor=Floor(
        # 8 maps; a triangle filter of 15 taps along every row, then along the columns at every fourth row.
        flop=2 * 15 * 8 * (SIDE * SIDE / STEP + (SIDE / STEP) ** 2),
        moved_bytes=4 * (SIDE * SIDE + POINTS * 128),
        counts="separable triangle filters on 8 maps; the image read once and the descriptors written once",
    ),
)


@pytest.mark.parametrize("who", RACE.names)
def test_dense_sift(row, who):
    row(RACE, who)
