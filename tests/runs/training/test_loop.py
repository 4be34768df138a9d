from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_trainings import Stop, bcnn, data, same, stage, values

from fgbench.methods import Target
from fgbench.runs.training import loop
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.loop import train
from fgbench.util.errors import FgbenchError

TWO_STAGES = [("first", stage(train=("classifier",), augment=False, lr=1.0)), ("second", stage(step=2, epochs=4))]


def test_training_lowers_the_loss_and_returns_the_curve(tmp_path):
    method = bcnn()
    curve = train(method, data(), TWO_STAGES, seed=0, engine=Engine(), work=tmp_path)
    assert [(p.stage, p.epoch) for p in curve] == [("first", e) for e in (1, 2, 3)] + [
        ("second", e) for e in (1, 2, 3, 4)
    ]
    assert curve[-1].loss < curve[0].loss
    assert curve[-1].accuracy > 80


def test_a_stage_trains_only_its_parameter_groups(tmp_path):
    method = bcnn()
    before = values(method)
    train(method, data(), TWO_STAGES[:1], seed=0, engine=Engine(), work=tmp_path)
    after = values(method)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


class Noisy(type(bcnn())):
    """A method with dropout."""

    def trunk(self, images):
        return torch.nn.functional.dropout(super().trunk(images), 0.5, self.streams.training)


def test_dropout_draws_the_same_numbers_after_an_interruption(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVING_SHARE", 1e9)

    def noisy():
        method = bcnn()
        method.__class__ = Noisy
        return method

    whole = noisy()
    train(whole, data(), TWO_STAGES[1:], seed=0, engine=Engine(), work=tmp_path / "whole")
    parts, seen = noisy(), []

    def stop(*_):
        seen.append(_)
        if len(seen) == 3:
            raise Stop

    with pytest.raises(Stop):
        train(parts, data(), TWO_STAGES[1:], seed=0, engine=Engine(), work=tmp_path / "parts", progress=stop)
    torch.rand(7)
    resumed = noisy()
    train(resumed, data(), TWO_STAGES[1:], seed=0, engine=Engine(), work=tmp_path / "parts")
    assert same(values(whole), values(resumed))


@pytest.mark.parametrize("stop_at", [1, 2, 3, 4, 6])
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path, stop_at, monkeypatch):
    monkeypatch.setattr(loop, "SAVING_SHARE", 1e9)
    whole = bcnn()
    train(whole, data(), TWO_STAGES, seed=0, engine=Engine(), work=tmp_path / "whole")
    count = [0]

    def stop(*_):
        count[0] += 1
        if count[0] == stop_at + 1:
            raise Stop

    with pytest.raises(Stop):
        train(bcnn(), data(), TWO_STAGES, seed=0, engine=Engine(), work=tmp_path / "parts", progress=stop)
    resumed = bcnn()
    seen = []
    curve = train(
        resumed,
        data(),
        TWO_STAGES,
        seed=0,
        engine=Engine(),
        work=tmp_path / "parts",
        progress=lambda *a: seen.append(a),
    )
    assert same(values(whole), values(resumed))
    assert len(curve) == 7
    assert len(seen) == 7 - stop_at


def test_a_finished_training_is_not_repeated(tmp_path):
    train(bcnn(), data(), TWO_STAGES, seed=0, engine=Engine(), work=tmp_path)
    seen = []
    train(bcnn(), data(), TWO_STAGES, seed=0, engine=Engine(), work=tmp_path, progress=lambda *a: seen.append(a))
    assert seen == []


def test_seed_determines_order_and_augmentation(tmp_path):
    runs = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        method = bcnn()
        train(method, data(), TWO_STAGES[1:], seed=seed, engine=Engine(), work=tmp_path / name)
        runs.append(values(method))
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_a_loss_that_is_not_finite_is_an_error(tmp_path):
    with pytest.raises(FgbenchError, match=r"stage .wild. is (nan|inf)"):
        train(bcnn(), data(), [("wild", stage(lr=1e30, epochs=9))], seed=0, engine=Engine(), work=tmp_path)


@pytest.mark.parametrize("place", ["_minimised", "BatchSource"])
def test_a_full_memory_of_a_gpu_names_the_batch_and_the_size(place, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(loop, place, full)
    with pytest.raises(FgbenchError, match=r"stage 'all' with 8 images of 32 px in a batch\n  lower batch_size"):
        train(bcnn(), data(), [("all", stage())], seed=0, engine=Engine(), work=tmp_path)


@pytest.mark.parametrize(("precision", "dtype"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)])
def test_convolutions_of_a_training_are_in_its_precision_and_weights_in_float32(precision, dtype, tmp_path):
    method, seen = bcnn(), set()
    for module in method.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda module, images, maps: seen.add(maps.dtype))
    train(method, data(), [("all", stage(epochs=1))], seed=0, engine=Engine(precision=precision), work=tmp_path)
    assert seen == {dtype}
    assert {parameter.dtype for parameter in method.parameters()} == {torch.float32}


def test_kept_features_train_the_same_classifier_as_recomputed_ones(tmp_path, monkeypatch):
    plan = [("first", stage(train=("classifier",), augment=False))]
    kept, fresh, calls = bcnn(), bcnn(), []
    monkeypatch.setattr(type(kept), "trunk", counting(type(kept).trunk, calls))
    train(kept, data(), plan, seed=0, engine=Engine(), work=tmp_path / "kept")
    assert sum(calls) == len(data().labels)
    monkeypatch.setattr(type(fresh), "HEAD", ())
    train(fresh, data(), plan, seed=0, engine=Engine(), work=tmp_path / "fresh")
    assert sum(calls) == 4 * len(data().labels)
    assert torch.allclose(kept.classifier.weight, fresh.classifier.weight, atol=1e-5)
    assert not list((tmp_path / "kept").glob("features*"))


def counting(trunk, calls):
    def counted(self, images):
        calls.append(len(images))
        return trunk(self, images)

    return counted


class Losses(type(bcnn())):
    """A method with two losses; the second depends only on the bias."""

    LOSSES = ("cross_entropy", "bias")

    def losses(self, outputs, target):
        return {**super().losses(outputs, target), "bias": (self.classifier.bias - 3).square().sum()}


def with_losses():
    method = bcnn()
    method.__class__ = Losses
    return method


def changed(method, before):
    after = values(method)
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize(
    ("losses", "moved"),
    [
        (("bias",), {"classifier.bias"}),
        (("cross_entropy",), {"classifier.weight", "classifier.bias"}),
        ((), {"classifier.weight", "classifier.bias"}),
    ],
)
def test_a_stage_minimises_the_losses_it_names(tmp_path, losses, moved):
    method = with_losses()
    before = values(method)
    plan = stage(train=("classifier",), augment=False, losses=losses, lr=0.05, weight_decay=0.0, momentum=0.0)
    curve = train(method, data(), [("one", plan)], seed=0, engine=Engine(), work=tmp_path)
    assert changed(method, before) == moved
    pulled = method.classifier.bias.mean() > 0.5
    assert bool(pulled) == (losses != ("cross_entropy",))
    if losses == ("bias",):
        assert curve[-1].loss == pytest.approx(27 * 0.9**16, rel=0.5)
    first = with_losses().eval()
    train_data = data()
    with torch.no_grad():
        outputs = first(torch.from_numpy(train_data.pixels).permute(0, 3, 1, 2))
        losses_by_name = first.losses(outputs, Target(torch.from_numpy(train_data.labels)))
        total = loop._minimised(losses_by_name, plan)
    assert total == pytest.approx(float(sum(losses_by_name[name] for name in losses or losses_by_name)))


def test_an_unknown_loss_is_an_error(tmp_path):
    plan = [("one", stage(losses=("entropy",)))]
    with pytest.raises(FgbenchError, match="no loss 'entropy'; did you mean 'cross_entropy'"):
        train(bcnn(), data(), plan, seed=0, engine=Engine(), work=tmp_path)


@pytest.mark.parametrize(
    ("groups", "augmented"), [(("classifier",), False), (("classifier",), True), (("backbone",), True)]
)
def test_only_groups_of_the_stage_change_parameters_and_statistics(tmp_path, groups, augmented):
    method = bcnn()
    before = values(method)
    plan = stage(train=groups, augment=augmented, lr=0.1)
    train(method, data(), [("one", plan)], seed=0, engine=Engine(), work=tmp_path)
    names = changed(method, before)
    if groups == ("classifier",):
        assert names == {"classifier.weight", "classifier.bias"}
    else:
        assert names == {name for name in before if name.startswith("streams.")}
        assert any("running_mean" in name for name in names)


def test_a_method_receives_augmented_keypoints(tmp_path):
    seen = []

    class KeepsKeypoints(type(bcnn())):
        def head(self, features, target=None):
            seen.append(target.keypoints)
            return super().head(features, target)

    method, train_data = bcnn(), data()
    method.__class__ = KeepsKeypoints
    keypoints = np.tile([[[4.0, 9.0, 1.0], [20.0, 9.0, 0.0]]], (24, 1, 1))
    train_data = replace(train_data, keypoints=keypoints, part_names=("left eye", "right eye"))
    plan = stage(epochs=1, batch_size=24)
    train(method, train_data, [("one", plan)], seed=0, engine=Engine(), work=tmp_path)
    (points,) = seen
    assert points.shape == (24, 2, 3)
    mirrored = points[:, 1, 2] == 1
    assert 3 < mirrored.sum() < 21
    assert (points[~mirrored, 0] == torch.tensor([4.0, 9.0, 1.0])).all()
    assert (points[mirrored, 1] == torch.tensor([28.0, 9.0, 1.0])).all()
    assert (points[mirrored, 0] == torch.tensor([12.0, 9.0, 0.0])).all()


def test_parameters_without_gradient_are_not_summed():
    method = bcnn()
    method.idle = torch.nn.Parameter(torch.ones(3))
    engine = Engine()
    engine.processes = 2
    engine.start_sum = lambda flat: flat.add_(1).sum
    loss = method.classifier.bias.square().sum() + 2 * method.classifier.bias.sum()
    engine.backward(loss, 0.5, [method.classifier.bias, method.idle])
    assert method.idle.grad is None
    assert torch.equal(method.classifier.bias.grad, torch.full((3,), 2.0))


def test_only_parameters_of_the_current_stage_require_gradients():
    method = bcnn()
    for groups in (("classifier", "backbone"), ("classifier",), ("backbone",)):
        optimizer = loop._optimizer(method, stage(train=groups))
        trained = {name for name, parameter in method.named_parameters() if parameter.requires_grad}
        assert len(trained) == sum(len(group["params"]) for group in optimizer.param_groups)
        assert {name.partition(".")[0] for name in trained} == {
            {"classifier": "classifier", "backbone": "streams"}[group] for group in groups
        }
