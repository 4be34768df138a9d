"""Several processes, started by torchrun, do what one does."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import mini
import numpy as np
import process_pair
import pytest
import torch

from fgbench.papers.recipes import load_recipes
from fgbench.records.store import Store
from fgbench.runs.planning import plan
from fgbench.util.files import cache_folder

PATIENCE_S = 240
"""Far beyond what it takes: processes that wait for each other do so forever."""


def start(*arguments: object, processes: int) -> str:
    """Run `process_pair.py` to its end under torchrun; returns what it printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", str(port)]
    program = subprocess.Popen(
        [sys.executable, *launcher, process_pair.__file__, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = program.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, signal.SIGKILL)
        pytest.fail(f"still running: {program.communicate()[0]}")
    assert program.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    start("train", folder, processes=2)
    return folder


@pytest.mark.parametrize("case", process_pair.CASES)
def test_two_processes_train_to_the_weights_of_one(case: str, together: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the others have
    state, curve = process_pair.trained(*process_pair.CASES[case], tmp_path)
    torch.set_num_threads(threads)
    initial = process_pair.load_backbone("squeezenet1_1", "features", pretrained=False).state_dict()
    moved = max(float((state[f"streams.0.{name}"] - value).abs().max()) for name, value in initial.items())
    assert moved > 1e-4
    assert torch.equal(state["idle"], torch.ones(5))
    for rank in range(2):
        theirs = torch.load(together / f"{case}-{rank}.pt")
        assert theirs["state"].keys() == state.keys()
        for name, value in state.items():
            torch.testing.assert_close(theirs["state"][name], value, rtol=0, atol=1e-6)
        for point, (loss, accuracy) in zip(curve, theirs["curve"], strict=True):
            assert loss == pytest.approx(point.loss, rel=1e-5)
            assert accuracy == pytest.approx(point.accuracy)


def test_the_processes_agree_on_the_statistics_of_batch_normalisation(together: Path) -> None:
    one, other = (torch.load(together / f"batch norm-{rank}.pt")["state"] for rank in range(2))
    assert any("running_mean" in name for name in one)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_no_features_are_left(together: Path) -> None:
    assert (together / "uneven" / "checkpoint.pt").is_file()
    assert not list(together.glob("*/features*"))


def test_every_process_leaves_the_group_before_python_ends(tmp_path: Path) -> None:
    start("leave", tmp_path, processes=2)
    noted = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert noted == {"0.work": "True", "1.work": "True", "0.end": "False", "1.end": "False"}


def test_a_run_of_two_processes_ends_with_the_scores_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fgbench run`, which trains the small network on the way, in one process that the others wait for."""
    recipes = tmp_path / "recipes/pair"
    recipes.mkdir(parents=True)
    (recipes / "mini_birds.toml").write_text(process_pair.RECIPE)
    monkeypatch.setenv("FGBENCH_REPRODUCTIONS", str(recipes.parent))
    (cache_folder() / "data").mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/data").symlink_to(cache_folder() / "data")  # where other tests have drawn the birds
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    arguments = ("pair/bcnn", "--data", "mini_birds", "--profile", "quick", "--seeds", 1, "--results")
    output = start("run", *arguments, tmp_path / "both", processes=2)
    assert "1 runs done, 0 kept from before, 0 failed" in output
    others = Store(tmp_path / "both/records")
    (both,) = others.records()
    assert others.verify(both) == []
    assert both.provenance["processes"] == 2
    assert not list((tmp_path / "both/work").glob("*/*"))

    (planned,) = plan(list(load_recipes().values()), "quick", [0]).runs
    alone = mini.do(planned, tmp_path / "alone")
    assert alone.run_id != both.run_id
    assert [weights.sha256 for weights in alone.weights] == [weights.sha256 for weights in both.weights]
    assert alone.settings == both.settings
    scores, theirs = (store.outputs(record)["scores"] for store, record in (
        (Store(tmp_path / "alone/records"), alone), (others, both)
    ))  # fmt: skip
    np.testing.assert_allclose(theirs, scores, atol=1e-4)
    assert scores.std() > 0.1
    assert [point.epoch for point in both.curve] == [1, 2, 1, 2]
    for one, other in zip(alone.curve, both.curve, strict=True):
        assert other.loss == pytest.approx(one.loss, abs=1e-4)
