import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from fgbench.runs.training import linear_svm
from fgbench.runs.training.linear_svm import train_svm
from fgbench.util.errors import FgbenchError


def problem(n=90, d=300, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    labels = np.arange(n) % classes
    x[np.arange(n), labels] += 3
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), labels


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize(("n", "d", "c", "bias"), [(60, 300, 1.0, 1.0), (150, 20, 1.0, 1.0), (90, 60, 10.0, 2.0)])
def test_optimum_equals_liblinear(loss, n, d, c, bias):
    x, labels = problem(n, d)
    fitted = train_svm(x, labels, 4, c=c, loss=loss, bias_multiplier=bias, tolerance=1e-7, max_sweeps=20000)
    for k in range(4):
        y = np.where(labels == k, 1, -1)
        reference = LinearSVC(C=c, loss=loss, dual=True, intercept_scaling=bias, tol=1e-9, max_iter=500_000)
        reference.fit(x.astype(np.float64), y)

        def objective(w, b, y=y):
            slack = np.maximum(0, 1 - y * (x @ w + b))
            return 0.5 * w @ w + 0.5 * (b / bias) ** 2 + c * (slack**2 if loss == "squared_hinge" else slack).sum()

        best = objective(reference.coef_[0], reference.intercept_[0])
        assert objective(fitted.weight[k].numpy().astype(np.float64), float(fitted.bias[k])) <= best * (1 + 1e-4)
        assert np.allclose(fitted.scores(torch.from_numpy(x))[:, k], reference.decision_function(x), atol=5e-3)


def test_blocks_and_tiles_do_not_change_the_result(tmp_path, monkeypatch):
    x, labels = problem()
    whole = train_svm(x, labels, 4)
    np.save(tmp_path / "x.npy", x)
    monkeypatch.setattr(linear_svm, "COLUMN_BYTES", 4 * 90 * 37)
    monkeypatch.setattr(linear_svm, "TILE", 32)
    shares = []
    parts = train_svm(np.load(tmp_path / "x.npy", mmap_mode="r"), labels, 4, progress=shares.append)
    assert torch.allclose(whole.weight, parts.weight, atol=1e-5)
    assert len(shares) == 2 * -(-x.shape[1] // 37)
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_duality_gap_is_below_the_tolerance():
    x, labels = problem(150, 20)
    loose, tight = train_svm(x, labels, 4, tolerance=0.1), train_svm(x, labels, 4, tolerance=1e-5)
    assert (tight.gap <= 1e-5).all()
    assert loose.sweeps < tight.sweeps
    with pytest.raises(FgbenchError, match="duality gap"):
        train_svm(x, labels, 4, tolerance=1e-9, max_sweeps=2)


def test_the_mean_gap_is_that_of_the_objective_of_vlfeat():
    """vl_svmtrain minimises lambda / 2 |w|^2 + mean loss with lambda = 1 / (n c), and stops at a gap of this."""
    x, labels = problem(300)
    svm = train_svm(x, labels, 4, c=2.0, tolerance=1e-3, gap="mean")
    best = train_svm(x, labels, 4, c=2.0, tolerance=1e-9, max_sweeps=20000)
    for k in range(4):
        y = np.where(labels == k, 1, -1)

        def objective(fitted, y=y, k=k):
            w, b = fitted.weight[k].numpy().astype(np.float64), float(fitted.bias[k])
            return (w @ w + b**2) / (2 * 300 * 2.0) + np.maximum(0, 1 - y * (x @ w + b)).mean()

        assert 0 <= objective(svm) - objective(best) <= svm.gap[k] <= 1e-3
    assert svm.sweeps < train_svm(x, labels, 4, c=2.0, tolerance=1e-3).sweeps


def test_calibration_puts_the_medians_at_zero_and_one():
    x, labels = problem(150, 20)
    svm = train_svm(x, labels, 4, calibrate=True, tolerance=1e-6)
    scores = svm.scores(torch.from_numpy(x)).numpy()
    for k in range(4):
        assert np.median(scores[labels == k, k]) == pytest.approx(1, abs=1e-3)
        assert np.median(scores[labels != k, k]) == pytest.approx(0, abs=1e-3)


def test_calibrated_weights_leave_the_bias_and_put_the_medians_two_apart():
    x, labels = problem(150, 20)
    plain = train_svm(x, labels, 4, tolerance=1e-6)
    svm = train_svm(x, labels, 4, calibrate=True, calibrated="weights", tolerance=1e-6)
    assert torch.equal(svm.bias, plain.bias)
    ratios = svm.weight / plain.weight
    torch.testing.assert_close(ratios, ratios[:, :1].expand_as(ratios))
    scores = svm.scores(torch.from_numpy(x)).numpy()
    for k in range(4):
        apart = np.median(scores[labels == k, k]) - np.median(scores[labels != k, k])
        assert apart == pytest.approx(2, abs=1e-3)


def test_repeated_samples_and_a_class_with_one_sample_train():
    x, labels = problem(40, 10)
    x, labels = np.concatenate([x, x]), np.concatenate([labels, labels])
    labels[labels == 3] = 2
    labels[0] = 3
    svm = train_svm(x, labels, 4, tolerance=1e-4)
    assert torch.isfinite(svm.weight).all()


def test_training_is_deterministic():
    x, labels = problem()
    assert torch.equal(train_svm(x, labels, 4).weight, train_svm(x, labels, 4).weight)


def test_invalid_training_data_are_errors():
    x, labels = problem()
    with pytest.raises(FgbenchError, match="class 4 has 0 of 90"):
        train_svm(x, labels, 5)
    with pytest.raises(FgbenchError, match="with labels"):
        train_svm(x, labels[:-1], 4)
    x[7, 3] = np.nan
    with pytest.raises(FgbenchError, match="training sample 7 is not finite"):
        train_svm(x, labels, 4)
