"""Trained networks from outside: reading, names, and the scores of a run that tests one."""

from dataclasses import replace

import mini
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fgbench.judge.external_verdicts import external_verdicts
from fgbench.papers.printed import load_papers
from fgbench.papers.recipes import load_recipes
from fgbench.records.kept_networks import network_path
from fgbench.records.store import store_of
from fgbench.runs.outside_network import OutsideNetwork, outside_networks
from fgbench.util.errors import FgbenchError


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run that kept its network, the record, and the path of the network."""
    folder = tmp_path_factory.mktemp("trained")
    record = mini.do(replace(mini.run_of("bcnn_dm"), keep_network=True), folder)
    return folder, record, network_path(folder, record.network_sha256)


def record_of(folder, path, names=None, title=""):
    (network,) = outside_networks([path], "bcnn/bcnn_dm@cub", title, names)
    return mini.do(replace(mini.run_of("bcnn_dm"), network=network), folder)


def scores(folder, record):
    return store_of(folder).outputs(record)["scores"]


def test_a_kept_network_gives_the_values_of_its_run_and_a_record_that_says_external(trained, tmp_path):
    folder, record, path = trained
    again = record_of(tmp_path, path, title="mine")
    assert np.array_equal(scores(tmp_path, again), scores(folder, record))
    assert again.values == record.values
    assert (again.profile, again.title, again.curve) == ("external", "mine (external)", [])
    assert (again.external.what, again.external.file, again.external.sha256) == (
        "network",
        path.name,
        record.network_sha256,
    )
    assert again.run_id != record.run_id
    cell = next(c for p in load_papers().values() for c in p.cells() if (c.recipe, c.data) == ("bcnn/bcnn_dm", "cub"))
    (verdict,) = external_verdicts(cell, [again], load_recipes())
    assert "the network was trained outside fgbench" in verdict.reason


def test_a_checkpoint_of_another_code_is_renamed_and_its_svm_is_trained_here(trained, tmp_path):
    folder, record, path = trained
    ours = {name: value for name, value in load_file(path).items() if not name.startswith("svm.")}
    theirs = {
        f"module.{name.replace('streams.0.', 'd_net.').replace('streams.1.', 'm_net.')}": v for name, v in ours.items()
    }
    theirs["module.counter"] = torch.tensor(3)
    torch.save({"epoch": 4, "state_dict": theirs}, tmp_path / "theirs.pth")
    names = tmp_path / "names.toml"
    names.write_text('[names]\n"d_net." = "streams.0."\n"m_net." = "streams.1."\ncounter = ""\n')
    again = record_of(tmp_path / "r", tmp_path / "theirs.pth", names)
    assert np.array_equal(scores(tmp_path / "r", again), scores(folder, record))


def test_tensors_that_do_not_fit_are_listed_in_the_failure(trained, tmp_path):
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.pt")
    with pytest.raises(FgbenchError, match=r"tensors missing: streams\.0.*1 tensor unexpected: fc\.weight"):
        record_of(tmp_path / "r", tmp_path / "other.pt")


def network(path, *names):
    return OutsideNetwork(path, "0" * 64, "x", "y", names)


@pytest.mark.parametrize(
    "nested", [lambda s: s, lambda s: {"model": s, "epoch": 1}, lambda s: {"state_dict": {"net": s}}]
)
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module."])
def test_nesting_and_prefixes_of_torch_are_removed(nested, prefix, tmp_path):
    state = {f"{prefix}a.weight": torch.ones(2, dtype=torch.float16), f"{prefix}a.steps": torch.tensor(3)}
    torch.save(nested(state), tmp_path / "x.pth")
    tensors = network(tmp_path / "x.pth").tensors()
    assert set(tensors) == {"a.weight", "a.steps"}
    assert (tensors["a.weight"].dtype, tensors["a.steps"].dtype) == (torch.float32, torch.int64)


def test_the_longest_beginning_of_a_name_counts(tmp_path):
    torch.save({"a.b.c": torch.ones(1), "a.d": torch.ones(2)}, tmp_path / "x.pth")
    assert set(network(tmp_path / "x.pth", ("a.", "x."), ("a.b.", "y.")).tensors()) == {"y.c", "x.d"}
    with pytest.raises(FgbenchError, match=r"two tensors of .* get the name z"):
        network(tmp_path / "x.pth", ("a.b.c", "z"), ("a.d", "z")).tensors()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as a checkpoint"),
        (b"\x80\x02garbage", "objects other than tensors|cannot be read"),
        ([torch.ones(1)], "holds a list, not a dictionary"),
        ({"epoch": 3}, "has no tensors; it has epoch"),
        ({"x": pytest.approx}, "objects other than tensors"),
    ],
)
def test_what_is_no_checkpoint_is_named(content, message, tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(FgbenchError, match=message):
        network(path).tensors()


@pytest.mark.parametrize("text", ["", "[names]\na = 1\n", "names = 3\n"])
def test_what_is_no_table_of_names_is_named(text, tmp_path):
    (tmp_path / "x.pth").write_bytes(b"x")
    names = tmp_path / "names.toml"
    names.write_text(text)
    with pytest.raises(FgbenchError, match="has no table of names"):
        outside_networks([tmp_path / "x.pth"], "r", "", names)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FgbenchError, match=r"x\.pth cannot be read"):
        outside_networks([tmp_path / "x.pth"], "r", "", None)
