"""A trained network is kept with its run, and gives the same scores when it is restored."""

from dataclasses import replace

import mini
import pytest
import torch
from command_line import run

from fgbench.records.kept_networks import network_path, read_network
from fgbench.records.store import store_of
from fgbench.runs.execute import Execution
from fgbench.runs.trained_state import restore, tensors_of
from fgbench.util.errors import FgbenchError
from fgbench.util.json_toml import read_json


def rebuilt(name, folder):
    """Return the execution of a mini run up to the method, untrained."""
    execution = Execution(mini.run_of(name), store_of(folder), folder / "work", lambda what, share: None)
    execution.prepare()
    return execution


@pytest.mark.parametrize("name", ["bcnn_dm", "fv_cnn_d", "fc_cnn_d"])
def test_a_kept_network_gives_the_scores_of_its_run(name, tmp_path):
    record = mini.do(replace(mini.run_of(name), keep_network=True), tmp_path)
    execution = rebuilt(name, tmp_path)
    execution.svm = restore(execution.method, read_network(network_path(tmp_path, record.network_sha256)), svm=True)
    scores = execution.predict()["scores"]
    assert (scores == store_of(tmp_path).outputs(record)["scores"]).all()


def test_a_run_names_its_network_and_a_card_describes_it(tmp_path):
    record = mini.do(replace(mini.run_of("fc_cnn_d"), keep_network=True), tmp_path)
    card = read_json(network_path(tmp_path, record.network_sha256).with_suffix(".json"))
    assert (card["run_id"], card["recipe"], card["settings"]) == (record.run_id, record.recipe, record.settings)
    assert len(card["classes"]) == record.protocol["classes"]
    assert card["values"]["accuracy"] == record.values["accuracy"].value
    assert card["provenance"]["packages"] == record.provenance["packages"]
    assert mini.do(mini.run_of("fc_cnn_d"), tmp_path / "other").network_sha256 == ""
    assert run("verify", "--results", str(tmp_path))[0] == 0
    path = network_path(tmp_path, record.network_sha256)
    path.write_bytes(path.read_bytes() + b" ")
    code, text = run("verify", "--results", str(tmp_path))
    assert code == 1
    assert f"its network {path.name} is not the file that was written with the record" in text


def test_tensors_that_do_not_fit_are_listed_and_change_nothing(tmp_path):
    execution = rebuilt("fc_cnn_d", tmp_path)
    tensors = {name: value.detach().clone() for name, value in tensors_of(execution.method, None).items()}
    before = tensors_of(execution.method, None)
    name = next(name for name in tensors if name.startswith("backbone"))
    wrong = {**tensors, "another": torch.zeros(2), "classifier.bias": torch.zeros(9)}
    wrong["backbone.renamed"] = wrong.pop(name)
    with pytest.raises(FgbenchError) as error:
        restore(execution.method, wrong, svm=False)
    text = str(error.value)
    assert f"1 tensor missing: {name}" in text
    assert "2 tensors unexpected: another, backbone.renamed" in text
    assert "1 tensor of another shape: classifier.bias (9,) instead of (4,)" in text
    assert all(torch.equal(before[name], tensors[name]) for name in tensors)
