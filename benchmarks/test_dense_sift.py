"""Dense SIFT of a 448 x 448 image at step 4, beside OpenCV on the same grid and kornia's dense descriptor."""

import numpy as np
import pytest
import torch

from fgbench.layers.dense_sift import dense_sift, dense_sift_grid

GROUP = "dense SIFT, 448 px, step 4"


def image():
    return torch.rand(1, 448, 448, generator=torch.Generator().manual_seed(0)) * 255


def test_fgbench(benchmark):
    benchmark.group = GROUP
    assert benchmark(dense_sift, image()).shape == (1, 106 * 106, 128)


def test_opencv(benchmark):
    cv2 = pytest.importorskip("cv2")
    cv2.setNumThreads(1)
    rows, columns = dense_sift_grid(448, 448)
    points = [cv2.KeyPoint(float(x), float(y), 16.0) for y in rows for x in columns]
    grey = image()[0].numpy().astype(np.uint8)
    benchmark.group = GROUP
    benchmark.extra_info["keypoint size"] = 16
    _, descriptors = benchmark(cv2.SIFT_create().compute, grey, points)
    assert descriptors.shape == (106 * 106, 128)


def test_kornia(benchmark):
    kornia = pytest.importorskip("kornia.feature")
    describe = kornia.DenseSIFTDescriptor(spatial_bin_size=8, stride=4, padding=0)
    benchmark.group = GROUP
    with torch.inference_mode():
        assert benchmark(describe, image()[:, None] / 255).shape[1] == 128
