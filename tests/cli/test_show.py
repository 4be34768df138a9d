"""`fgbench show`, `list runs`, `log` and `rm` on a results folder with runs, finished, failed and unfinished."""

import json
from dataclasses import replace

import mini
import pytest
import torch
from command_line import run
from stored_records import write_record

from fgbench.records.deviations import measured_effect
from fgbench.records.kept_networks import keep_network, network_path
from fgbench.records.record import Deviation
from fgbench.records.run_log import log_path, read_log
from fgbench.records.store import store_of
from fgbench.runs.executors import runner


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A results folder with a finished run that kept its network."""
    folder = tmp_path_factory.mktemp("made")
    return folder, mini.do(replace(mini.run_of("fc_cnn_d"), keep_network=True), folder)


def shown(*arguments):
    code, text = run(*arguments, "--json")
    assert code == 0, text
    return json.loads(text)


def values(rows):
    return {row["what"]: row["value"] for row in rows}


def test_a_recipe_is_shown_with_the_origin_of_each_value_and_its_cells(tmp_path):
    tables = shown("show", "bcnn/bcnn_dd", "--results", str(tmp_path))
    head = values(tables["bcnn/bcnn_dd@cub"])
    assert head["command"] == "fgbench run bcnn/bcnn_dd --profile paper"
    assert set(head["also on"].split(", ")) == {"aircraft", "cars", "nabirds"}
    assert "GiB of disk" in head["one seed on an H100 at half of its peaks"]
    origins = {row["setting"]: row["origin"] for row in tables["values"]}
    assert (origins["mirror"], origins["stages.finetune.batch_size"]) == ("paper", "ours")
    assert "bcnn/t1/bcnn_dd/birds" in {row["cell"] for row in tables["printed cells"]}
    assert tables["differences to the official code"] == []
    differences = shown("show", "tasn/tasn_r50", "--results", str(tmp_path))["differences to the official code"]
    rotation = next(row for row in differences if row["step"] == "rotation")
    assert ("white (255)" in rotation["code"], "black" in rotation["here"]) == (True, True)
    other = shown("show", "bcnn/bcnn_dd@cars", "--results", str(tmp_path))
    assert values(other["bcnn/bcnn_dd@cars"])["command"] == "fgbench run bcnn/bcnn_dd --data cars --profile paper"


def test_a_cell_is_shown_with_its_source_and_its_verdict(tmp_path):
    tables = shown("show", "bcnn/t1/bcnn_dd/birds", "--results", str(tmp_path))
    head = values(tables["bcnn/t1/bcnn_dd/birds"])
    assert head["printed"] == "84.0 %"
    assert "ICCV 2015" in head["source"]
    assert values(tables[f"verdict from {tmp_path}"])["outcome"] in {"blocked", "not run"}


def test_a_run_is_shown_by_the_beginning_of_its_id(made):
    folder, record = made
    tables = shown("show", record.run_id[:6], "--results", str(folder))
    head = values(tables[record.run_id])
    assert head["recipe"] == "bcnn/fc_cnn_d@cub"
    assert head["network"] == str(network_path(folder, record.network_sha256))
    assert len(tables["learning curve"]) == len(record.curve) == 4
    assert {row["deviation"].partition(":")[0] for row in tables["deviations"]} >= {"data", "backbones"}


def test_a_deviation_in_rounding_has_its_measured_effect(made, tmp_path, monkeypatch):
    folder, record = made
    rounded = Deviation(field="precision", recipe="32-true", run="bf16-mixed", origin="ours", changes_experiment=False)
    changed = record.model_copy(update={"deviations": (rounded,)})
    monkeypatch.setattr("fgbench.records.store.Store.read", lambda *_: changed)
    (row,) = shown("show", record.run_id, "--results", str(folder))["deviations"]
    assert row["deviation"] == f"precision: 32-true -> bf16-mixed ({measured_effect(rounded)})"


@pytest.mark.parametrize("name", ["bcnn/bcnn_d", "bcnn/t1/bcnn_dd/bird"])
def test_an_unknown_name_gives_the_nearest_one(name, tmp_path):
    code, text = run("show", name, "--results", str(tmp_path))
    assert code != 0
    assert f"no recipe, cell or run '{name}'" in text
    assert "bcnn/" in text.partition(";")[2]


def test_the_log_has_the_steps_and_their_times(made):
    folder, record = made
    code, text = run("log", record.run_id, "--results", str(folder))
    assert code == 0
    lines = text.splitlines()
    assert "start of FC-CNN [D]" in lines[0]
    assert any("training, stage finetune" in line for line in lines)
    assert lines[-1].endswith("finished")


def test_a_failed_run_leaves_its_traceback_in_its_log(tmp_path, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(runner, "execute", fail)
    with pytest.raises(ZeroDivisionError):
        mini.do(mini.run_of("fc_cnn_d"), tmp_path)
    (row,) = shown("list", "runs", "--results", str(tmp_path))["runs"]
    assert row["title"] == "not finished"
    _, text = run("log", row["run"][:5], "--results", str(tmp_path))
    assert "failed: oops" in text
    assert "Traceback" in text
    assert values(shown("show", row["run"], "--results", str(tmp_path))[row["run"]])["state"] == "not finished"


def test_runs_are_listed(made):
    folder, record = made
    (row,) = shown("list", "runs", "--results", str(folder))["runs"]
    assert (row["run"], row["profile"], row["seed"]) == (record.run_id, "quick", 0)
    assert row["measured"] == f"accuracy {record.values['accuracy'].value:.2f} %"
    code, text = run("list", "runs", "--results", str(folder / "missing"))
    assert code != 0
    assert "missing" in text


@pytest.mark.parametrize(("name", "message"), [("x", "no run 'x'"), ("", "no run ''")])
def test_an_unknown_run_is_named(name, message, made):
    for verb in ("log", "rm"):
        code, text = run(verb, name, "--results", str(made[0]))
        assert code != 0
        assert message in text


def test_a_removed_run_takes_its_files_along_and_leaves_the_others(tmp_path):
    planned = replace(mini.run_of("fc_cnn_d"), keep_network=True)
    first, second = mini.do(planned, tmp_path), mini.do(replace(planned, seed=1), tmp_path)
    code, text = run("rm", first.run_id[:8], "--yes", "--results", str(tmp_path))
    assert (code, "1 run removed" in text) == (0, True)
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert not any(first.run_id in name and not name.endswith(".lock") for name in left)
    assert not network_path(tmp_path, first.network_sha256).exists()
    assert store_of(tmp_path).run_ids() == [second.run_id]
    assert network_path(tmp_path, second.network_sha256).is_file()
    assert read_log(tmp_path, second.run_id)
    assert not log_path(tmp_path, first.run_id).exists()
    assert run("verify", "--results", str(tmp_path))[0] == 0


def test_without_yes_nothing_is_removed(made):
    folder, record = made
    code, _ = run("rm", record.run_id, "--results", str(folder))
    assert code != 0
    assert store_of(folder).has(record.run_id)


def test_a_recipe_shows_from_which_network_it_starts():
    code, text = run("show", "bcnn/fv_cnn_d")
    assert code == 0
    (line,) = (line for line in text.splitlines() if line.startswith("starts_from"))
    assert line.split() == ["starts_from", "bcnn/fc_cnn_d", "paper"]
    assert "fc_cnn_d, once for both" in " ".join(text.split())
    assert "network is used by" in run("show", "keypoint_fcn/localizer")[1]


@pytest.mark.parametrize("damaged", [False, True])
def test_removing_a_run_keeps_networks_that_a_damaged_record_may_name(damaged, tmp_path):
    """The parent was trained again, so that the first network is that of the child alone."""
    network = keep_network(tmp_path, {"x": torch.zeros(1)}, {"recipe": "x"})
    parent = write_record(tmp_path / "records", run_id="a" * 16)
    start = {"recipe": parent.recipe, "run_id": parent.run_id, "network_sha256": network}
    write_record(tmp_path / "records", run_id="b" * 16, starts_from=start)
    if damaged:
        (tmp_path / f"records/{parent.run_id}.json").write_text("{}")
    code, _ = run("rm", "b", "--yes", "--results", str(tmp_path))
    assert code == 0
    assert len(list(tmp_path.glob("networks/*.safetensors"))) == damaged


def test_removing_a_run_names_those_that_started_from_its_network(tmp_path):
    parent = write_record(tmp_path / "records", run_id="a" * 16)
    start = {"recipe": parent.recipe, "run_id": parent.run_id, "network_sha256": "0" * 64}
    write_record(tmp_path / "records", run_id="b" * 16, starts_from=start)
    _, text = run("rm", "b", "--results", str(tmp_path))
    assert "network" not in text
    _, text = run("rm", "a", "b", "--results", str(tmp_path))
    assert "network" not in text
    code, text = run("rm", "a", "--yes", "--results", str(tmp_path))
    assert code == 0
    assert f"1 run that starts from its network and stays: {'b' * 16}" in text
    assert store_of(tmp_path).run_ids() == ["b" * 16]
