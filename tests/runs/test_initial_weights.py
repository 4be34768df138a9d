"""Initial weights that follow from the training images: computed once, and trained from then on."""

import mini
import numpy as np
import pytest
import torch

from fgbench.methods.bcnn import Bcnn
from fgbench.records.store import store_of


@pytest.fixture
def calls(monkeypatch):
    """Count the computations of initial weights."""
    counted = []
    initialise = Bcnn.initialise

    def count(self, batches, context):
        counted.append(context.images)
        initialise(self, batches, context)

    monkeypatch.setattr(Bcnn, "initialise", count)
    return counted


def test_a_low_dimensional_bcnn_learns(tmp_path, calls):
    run = mini.quick_run("bcnn/bcnn_mm64@cub", epochs=3, limit=None)
    record = mini.do(run, tmp_path)
    assert calls == [160]
    assert record.curve[-1].loss < 0.9 * record.curve[0].loss
    assert record.settings["options"]["projected"] == 16


def test_the_first_weights_of_the_projection_are_principal_components(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("fgbench.runs.execute.train", lambda method, *args, **options: seen.append(method) or [])
    mini.do(mini.quick_run("bcnn/bcnn_mm64@cub"), tmp_path)
    weight = seen[0].projection.weight.detach().flatten(1)
    torch.testing.assert_close(weight @ weight.T, torch.eye(16), atol=1e-4, rtol=0)
    assert seen[0].projection.bias.abs().max() > 0


def test_an_interrupted_run_continues_from_its_initial_weights(tmp_path, calls, monkeypatch):
    run = mini.quick_run("bcnn/bcnn_mm64@cub")
    whole = mini.do(run, tmp_path / "whole")
    train = "fgbench.runs.execute.train"

    def interrupted(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, interrupted)
        with pytest.raises(KeyboardInterrupt):
            mini.do(run, tmp_path / "parts")
    again = mini.do(run, tmp_path / "parts")
    assert len(calls) == 2  # of the whole run, and of the first part
    assert again.values == whole.values
    first = store_of(tmp_path / "whole").outputs(whole)["scores"]
    assert np.array_equal(first, store_of(tmp_path / "parts").outputs(again)["scores"])
