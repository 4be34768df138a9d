import pytest
import torch
from small_trainings import Stop, bcnn, data, same, stage, values

from fgbench.runs.training import loop
from fgbench.runs.training.batches import BatchSource
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.loop import train


def test_adam_equals_the_optimizer_of_torch(tmp_path):
    plan = stage(train=("classifier",), augment=False, optimizer="adam", lr=0.01, momentum=0.8, weight_decay=0.1,
                 classifier_lr_scale=2.0, classifier_decay_scale=0.5, lr_drops=(3,))  # fmt: skip
    method = bcnn()
    train(method, data(), [("one", plan)], seed=0, engine=Engine(), work=tmp_path / "a")
    reference = bcnn().eval()
    optimizer = torch.optim.Adam(reference.classifier.parameters(), lr=0.02, betas=(0.8, 0.999), weight_decay=0.05)
    source = BatchSource(reference, data(), plan, 0, "one", Engine(), tmp_path / "features.npy")
    for epoch in (1, 2, 3):
        optimizer.param_groups[0]["lr"] = 0.02 if epoch < 3 else 0.002
        for batch in source.batches(epoch):
            loss = torch.nn.functional.cross_entropy(reference.classifier(batch.features), batch.target.labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert not same(values(method), values(bcnn()))
    torch.testing.assert_close(method.classifier.weight, reference.classifier.weight)
    torch.testing.assert_close(method.classifier.bias, reference.classifier.bias)


def test_adam_continues_after_an_interruption(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVING_SHARE", 1e9)
    plan = [("one", stage(train=("classifier",), optimizer="adam", epochs=4, lr=0.01))]
    whole, parts = bcnn(), bcnn()
    train(whole, data(), plan, seed=0, engine=Engine(), work=tmp_path / "whole")

    def stop(stage, done, total):
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        train(parts, data(), plan, seed=0, engine=Engine(), work=tmp_path / "parts", progress=stop)
    resumed = bcnn()
    train(resumed, data(), plan, seed=0, engine=Engine(), work=tmp_path / "parts")
    assert same(values(whole), values(resumed))
