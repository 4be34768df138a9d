from types import SimpleNamespace

import pytest
from stored_records import write_record

from fgbench.cli import run_requests
from fgbench.cli.options import ExecutionOptions
from fgbench.cli.plan_lines import lines_about_blocked, lines_about_drawing, lines_about_networks
from fgbench.datasets import datasets
from fgbench.records.kept_networks import network_path
from fgbench.util.errors import Obstacle


def test_a_synthetic_data_set_is_announced_until_it_is_there(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path))
    folder = tmp_path / "data" / datasets["synthetic_birds"].folder
    assert list(lines_about_drawing({"synthetic_birds", "cub"})) == [
        f"drawing synthetic birds into {folder}: only this time"
    ]
    folder.mkdir(parents=True)
    assert not list(lines_about_drawing({"synthetic_birds", "cub"}))


def test_recipes_that_lack_the_same_are_one_line():
    cub, vgg = Obstacle("data: CUB", "fgbench data get cub"), Obstacle("weights: VGG", "fgbench weights get vgg")
    assert list(lines_about_blocked({"a": cub, "b": vgg, "c": cub})) == [
        "blocked: a, c: data: CUB\n  fgbench data get cub",
        "blocked: b: weights: VGG\n  fgbench weights get vgg",
    ]


def runs_of(*names, needed=()):
    """Return a plan of runs that have only what the lines read."""
    runs = [SimpleNamespace(id=name * 16, title=f"run {name}", network_needed=name in needed) for name in names]
    return SimpleNamespace(runs=runs)


def test_a_run_that_is_finished_without_its_network_is_told_with_the_commands(tmp_path):
    for name, sha256 in {"a": "", "b": "1" * 64, "c": "2" * 64, "d": ""}.items():
        write_record(tmp_path / "records", run_id=name * 16, network_sha256=sha256)
    network_path(tmp_path, "1" * 64).parent.mkdir()
    network_path(tmp_path, "1" * 64).write_bytes(b"")
    assert list(lines_about_networks(runs_of(*"abcde", needed="d"), tmp_path)) == [
        f"network not kept: run {name} was finished before, and {why}\n"
        f"  fgbench rm {name * 16} --results {tmp_path}, then this command again"
        for name, why in (("a", "it kept no network"), ("c", "its network is not here"))
    ]


@pytest.mark.parametrize(("keep", "told"), [(True, True), (None, False), (False, False)])
def test_only_keep_network_asks_for_networks_of_finished_runs(keep, told, tmp_path, monkeypatch):
    write_record(tmp_path / "records", run_id="a" * 16)
    monkeypatch.setattr(run_requests, "plan_request", lambda *_: runs_of("a"))
    for name in ("with_parents", "_with_choices"):
        monkeypatch.setattr(run_requests, name, lambda plan, _: plan)
    monkeypatch.setattr(run_requests, "lines_about_parents", lambda *_: [])
    request = run_requests.Request.of("cub", ExecutionOptions(keep_network=keep), ("bcnn/bcnn_dd",))
    said = []
    run_requests.whole_plan(request, "quick", False, tmp_path, said.append)
    assert [line.startswith("network not kept: run a") for line in said] == [True] * told
