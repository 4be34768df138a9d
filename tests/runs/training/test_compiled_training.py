"""A training with compiled networks has the values of one without, up to rounding."""

import mini
import numpy as np
import pytest
import torch
from small_trainings import Stop, bcnn, data, stage, values

from fgbench.backbones import compiled
from fgbench.backbones.compiled import compile_networks
from fgbench.records.store import store_of
from fgbench.runs.run import Changes
from fgbench.runs.training import loop
from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.loop import train

STAGES = [("head", stage(train=("classifier",), augment=False, epochs=1)), ("all", stage(step=2, epochs=2))]


@pytest.fixture(autouse=True)
def without_code_generation(monkeypatch):
    """Trace the networks and their gradients, and run what was traced: the compiler takes half a minute."""
    monkeypatch.setattr(compiled, "BACKEND", "aot_eager")
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def trained(folder, *, is_compiled=True, **options):
    """Train with batches of two sizes."""
    method = bcnn()
    if is_compiled:
        compile_networks(method, torch.device("cpu"))
    folder.mkdir(exist_ok=True)
    curve = train(method, data(21), STAGES, seed=0, engine=Engine(), work=folder, **options)
    return values(method), [point.loss for point in curve]


def test_a_compiled_training_has_the_values_of_an_eager_one(tmp_path):
    expected, losses = trained(tmp_path / "eager", is_compiled=False)
    found, compiled_losses = trained(tmp_path / "compiled")
    assert list(found) == list(expected)
    assert compiled_losses == pytest.approx(losses, rel=1e-4)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-5)


def test_an_interrupted_compiled_training_continues(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVING_SHARE", 1e9)
    expected, losses = trained(tmp_path / "whole")

    def stop(name, done, total):
        if (name, done) == ("all", 1):
            raise Stop

    with pytest.raises(Stop):
        trained(tmp_path / "parts", progress=stop)
    found, resumed_losses = trained(tmp_path / "parts")
    assert resumed_losses == losses
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_run_with_compiled_networks_is_recorded_as_such(tmp_path):
    runs = [mini.run_of("bcnn_dm", changes=Changes(compile=c)) for c in (False, True)]
    assert runs[0].settings == runs[1].settings
    (deviation,) = [deviation for deviation in runs[1].deviations if deviation not in runs[0].deviations]
    assert (deviation.field, deviation.changes_experiment) == ("compile", False)
    plain, record = (mini.do(run, tmp_path / str(run.changes.compile)) for run in runs)
    assert "compiled" not in plain.provenance
    assert record.provenance["compiled"] is True
    assert record.identity != plain.identity
    assert [point.loss for point in record.curve] == pytest.approx([point.loss for point in plain.curve], rel=0.01)
    arrays = [store_of(tmp_path / str(c)).outputs(r) for c, r in ((False, plain), (True, record))]
    np.testing.assert_allclose(arrays[1]["scores"], arrays[0]["scores"], rtol=0, atol=0.05)
