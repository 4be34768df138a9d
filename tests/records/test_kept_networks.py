import json

import pytest
import torch

from fgbench.records.kept_networks import keep_network, network_path, network_problem, read_network
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_file


def kept(folder, **tensors):
    return keep_network(folder, tensors, {"recipe": "a/b"})


def test_a_network_is_kept_under_its_hash_with_a_card(tmp_path):
    weight = torch.randn(3, 4)
    sha256 = kept(tmp_path, weight=weight, strided=weight.T)
    path = network_path(tmp_path, sha256)
    assert hash_file(path) == sha256
    assert path.name == f"{sha256[:16]}.safetensors"
    assert json.loads(path.with_suffix(".json").read_text()) == {"recipe": "a/b", "sha256": sha256}
    assert torch.equal(read_network(path)["weight"], weight)
    assert torch.equal(read_network(path)["strided"], weight.T)
    assert network_problem(tmp_path, sha256) == ""


def test_a_tensor_with_two_names_is_written_once(tmp_path):
    weight = torch.nn.Parameter(torch.randn(1000, 100))
    path = network_path(tmp_path, kept(tmp_path, first=weight, second=weight))
    assert path.stat().st_size < 1.1 * 4 * weight.numel()
    assert torch.equal(read_network(path)["second"], read_network(path)["first"])


def test_equal_networks_have_one_file(tmp_path):
    assert kept(tmp_path, weight=torch.ones(3)) == kept(tmp_path, weight=torch.ones(3))
    assert len(list(tmp_path.glob("networks/*.safetensors"))) == 1


def test_a_changed_network_is_a_problem_and_a_removed_one_is_none(tmp_path):
    sha256 = kept(tmp_path, weight=torch.ones(3))
    path = network_path(tmp_path, sha256)
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    assert network_problem(tmp_path, sha256).endswith("is not the file that was written with the record")
    path.unlink()
    assert network_problem(tmp_path, sha256) == ""


@pytest.mark.parametrize("content", [None, b"", b"no network", b"\xff" * 100])
def test_what_is_no_network_is_named(tmp_path, content):
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FgbenchError, match=r"x\.safetensors"):
        read_network(path)
