"""Several processes, started by torchrun, compute the same values as one process."""

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
"""Maximum seconds of a program; processes in a deadlock never end."""


def start(*arguments: object, processes: int, fails: bool = False) -> str:
    """Run `process_pair.py` under torchrun until it ends, as expected with success or not; return its output."""
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
    assert bool(program.returncode) == fails, output
    return output


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    start("train", folder, processes=2)
    return folder


@pytest.mark.parametrize("case", process_pair.CASES)
def test_two_processes_train_the_same_weights_as_one(case: str, together: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the processes under torchrun
    state, curve = process_pair.trained(*process_pair.CASES[case], tmp_path)
    torch.set_num_threads(threads)
    initial = process_pair.load_backbone("squeezenet1_1", "features", pretrained=False).state_dict()
    moved = max(float((state[f"streams.0.{name}"] - value).abs().max()) for name, value in initial.items())
    assert moved > 1e-4
    assert torch.equal(state["idle"], torch.ones(5))
    for rank in range(2):
        saved = torch.load(together / f"{case}-{rank}.pt")
        assert saved["state"].keys() == state.keys()
        for name, value in state.items():
            torch.testing.assert_close(saved["state"][name], value, rtol=0, atol=1e-6)
        for point, (loss, accuracy) in zip(curve, saved["curve"], strict=True):
            assert loss == pytest.approx(point.loss, rel=1e-5)
            assert accuracy == pytest.approx(point.accuracy)


def test_processes_have_equal_batch_normalisation_statistics(together: Path) -> None:
    one, other = (torch.load(together / f"batch norm-{rank}.pt")["state"] for rank in range(2))
    assert any("running_mean" in name for name in one)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_features_of_the_trunk_are_deleted(together: Path) -> None:
    assert (together / "uneven" / "checkpoint.pt").is_file()
    assert not list(together.glob("*/features*"))


def test_every_process_leaves_the_process_group_before_exit(tmp_path: Path) -> None:
    start("leave", tmp_path, processes=2)
    noted = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert noted == {"0.work": "True", "1.work": "True", "0.end": "False", "1.end": "False"}


def test_a_full_disk_of_the_first_process_ends_the_training_of_all_and_the_next_one_works(tmp_path: Path) -> None:
    start("full", tmp_path, processes=2)
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in range(2)] == [f"the disk of {tmp_path}/full is full"] * 2
    assert (tmp_path / "again" / "checkpoint.pt").is_file()


def test_a_failed_step_of_one_process_ends_the_program(tmp_path: Path) -> None:
    assert "planted" in start("crash", tmp_path, processes=2, fails=True)


def test_a_run_in_two_processes_has_the_scores_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = tmp_path / "recipes/pair"
    recipes.mkdir(parents=True)
    (recipes / "mini_birds.toml").write_text(process_pair.RECIPE)
    monkeypatch.setenv("FGBENCH_REPRODUCTIONS", str(recipes.parent))
    (cache_folder() / "data").mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/data").symlink_to(cache_folder() / "data")  # images that other tests have generated
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    arguments = ("pair/bcnn", "--data", "mini_birds", "--profile", "quick", "--seeds", 1, "--results")
    output = start("run", *arguments, tmp_path / "both", processes=2)
    assert "1 run done, 0 kept from before, 0 failed" in output
    assert "process 1 ended, records: 1" in output  # it waits for the first process, which writes the record
    both_store = Store(tmp_path / "both/records")
    (both,) = both_store.records()
    assert both_store.verify(both) == []
    assert both.provenance["processes"] == 2
    assert not list((tmp_path / "both/work").glob("*/*"))

    (planned,) = plan(list(load_recipes().values()), "quick", [0]).runs
    alone = mini.do(planned, tmp_path / "alone")
    assert alone.run_id != both.run_id
    assert [weights.sha256 for weights in alone.weights] == [weights.sha256 for weights in both.weights]
    assert alone.settings == both.settings
    scores, both_scores = (store.outputs(record)["scores"] for store, record in (
        (Store(tmp_path / "alone/records"), alone), (both_store, both)
    ))  # fmt: skip
    np.testing.assert_allclose(both_scores, scores, atol=1e-4)
    assert scores.std() > 0.1
    assert [point.epoch for point in both.curve] == [1, 2, 1, 2]
    for one, other in zip(alone.curve, both.curve, strict=True):
        assert other.loss == pytest.approx(one.loss, abs=1e-4)
