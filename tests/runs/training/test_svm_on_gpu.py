"""The SVM on a simulated GPU: the classifiers of the CPU, products on the device, and weights that are not moved."""

import numpy as np
import pytest
import torch
from simulated_gpu import SimulatedGpu
from sklearn.svm import LinearSVC

from fgbench.methods.base import Outputs
from fgbench.runs.prediction import mean_with_mirror
from fgbench.runs.training import linear_svm
from fgbench.runs.training.linear_svm import train_svm
from fgbench.util.errors import FgbenchError

CUDA = torch.device("cuda")


def problem(n=90, d=300, classes=4):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d))
    labels = np.arange(n) % classes
    x[np.arange(n), labels] += 3
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), labels


@pytest.fixture(autouse=True)
def several_blocks_and_tiles(monkeypatch):
    monkeypatch.setattr(linear_svm, "COLUMN_BYTES", 4 * 90 * 37)
    monkeypatch.setattr(linear_svm, "TILE", 32)


def trained_on_gpu(x, labels, **options):
    """Return weights and biases on the host, the classifiers, and the simulated GPU with its counts."""
    with SimulatedGpu() as gpu:
        svm = train_svm(x, labels, 4, device=CUDA, **options)
        assert svm.weight.device.type == svm.bias.device.type == "cuda"
        return svm.weight.cpu(), svm.bias.cpu(), svm, gpu


@pytest.mark.parametrize("options", [
    {}, {"loss": "squared_hinge", "calibrate": True}, {"c": 10.0, "bias_multiplier": 2.0, "calibrate": True},
])  # fmt: skip
def test_a_gpu_finds_the_classifiers_of_the_cpu(tmp_path, options):
    x, labels = problem()
    np.save(tmp_path / "x.npy", x)
    mapped, shares = np.load(tmp_path / "x.npy", mmap_mode="r"), []
    options |= {"tolerance": 1e-6, "max_sweeps": 20_000}
    expected = train_svm(x, labels, 4, **options)
    weight, bias, svm, _ = trained_on_gpu(mapped, labels, progress=shares.append, **options)
    assert torch.allclose(weight, expected.weight, atol=1e-4)
    assert torch.allclose(bias, expected.bias, atol=1e-4)
    assert (svm.gap <= 1e-6).all()
    assert len(shares) == 2 * -(-x.shape[1] // 37)
    assert shares == sorted(shares)


def test_a_gpu_finds_the_optimum_of_liblinear():
    x, labels = problem()
    weight, bias, _, _ = trained_on_gpu(x, labels, tolerance=1e-7, max_sweeps=20_000)
    for k in range(4):
        reference = LinearSVC(loss="hinge", dual=True, tol=1e-9, max_iter=500_000)
        reference.fit(x.astype(np.float64), np.where(labels == k, 1, -1))
        assert np.allclose(x @ weight[k].numpy() + bias[k].numpy(), reference.decision_function(x), atol=5e-3)


@pytest.mark.parametrize(("kept", "passes"), [(False, 2), (True, 1)])
def test_descriptors_that_fit_in_the_gpu_are_read_once(monkeypatch, kept, passes):
    x, labels = problem()
    read, original = [], linear_svm.column_blocks
    monkeypatch.setattr(linear_svm, "has_device_memory", lambda device: device.type == "cuda")
    monkeypatch.setattr(linear_svm, "free_bytes", lambda device: 2 * x.nbytes - (not kept))
    monkeypatch.setattr(linear_svm, "column_blocks", lambda *a: (read.append(a), original(*a))[1])
    weight = trained_on_gpu(x, labels)[0]
    assert len(read) == passes
    assert torch.allclose(weight, train_svm(x, labels, 4).weight, atol=1e-4)


def test_products_of_matrices_are_computed_on_the_gpu():
    """Two products for each block of columns and tile, and one for each block of the ascent."""
    x, labels = problem()
    _, _, svm, gpu = trained_on_gpu(x, labels)
    blocks, tiles, ascents = 9, 6, svm.sweeps
    names = {"mm", "addmm", "addmm_", "linear", "matmul"}
    products = sum(count for name, count in gpu.kernels.items() if name in names)
    assert products == blocks * tiles + blocks + ascents


def test_a_descriptor_that_is_not_finite_is_named():
    x, labels = problem()
    for bad in (np.nan, np.inf, -np.inf):
        x[7, 299] = bad
        with pytest.raises(FgbenchError, match="training sample 7 is not finite"):
            trained_on_gpu(x, labels)
        with pytest.raises(FgbenchError, match="training sample 7 is not finite"):
            train_svm(x, labels, 4)


class Embeds:
    """A method whose embedding is made of the pixels."""

    OUTPUTS = ()

    def predict(self, images):
        return Outputs(None, images.flatten(1).float())


def test_prediction_moves_no_weights():
    x, labels = problem()
    images = torch.randint(0, 256, (5, 3, 10, 10), dtype=torch.uint8)
    with SimulatedGpu() as gpu:
        svm = train_svm(x, labels, 4, device=CUDA)
        batch = images.to("cuda")
        gpu.clear()
        predict = mean_with_mirror(Embeds(), "scores", lambda outputs: svm.scores(outputs.embedding), mirror=True)
        scores = [predict(batch)["scores"] for _ in range(3)]
        assert gpu.copied == 0
        assert gpu.waits == []
        values = scores[-1].cpu()
    flat = (images.flatten(1).float() + images.flip(-1).flatten(1).float()) / 2
    assert torch.allclose(values, train_svm(x, labels, 4).scores(flat), atol=0.01)
