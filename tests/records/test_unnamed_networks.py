"""Networks that no record names: found, told by `verify` and `rm`, and removed after a run was trained again."""

import json

import pytest
from command_line import run
from stored_records import write_record

from fgbench.records.kept_networks import network_path, remove_replaced, unnamed_networks

OLD, NEW, OTHER = "1" * 64, "2" * 64, "3" * 64


def network(results, sha256):
    path = network_path(results, sha256)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    path.with_suffix(".json").write_text("{}")
    return path


@pytest.fixture
def results(tmp_path):
    """Folder with a run that was trained again, a run that started from its old network, and a lonely network."""
    write_record(tmp_path / "records", run_id="a" * 16, network_sha256=NEW)
    start = {"recipe": "bcnn/fc_cnn_d@cub", "run_id": "a" * 16, "network_sha256": OLD}
    write_record(tmp_path / "records", run_id="b" * 16, starts_from=start)
    for sha256 in (OLD, NEW, OTHER):
        network(tmp_path, sha256)
    return tmp_path


def test_a_network_is_named_by_its_run_and_by_those_that_started_from_it(results):
    assert unnamed_networks(results) == [network_path(results, OTHER)]
    (results / "records" / f"{'b' * 16}.json").unlink()
    assert unnamed_networks(results) == [network_path(results, OLD), network_path(results, OTHER)]
    (results / "records" / f"{'c' * 16}.json").write_text("{", encoding="utf-8")
    assert unnamed_networks(results) == []


def test_only_a_network_that_nothing_names_is_removed(results):
    for sha256 in (OLD, NEW, ""):
        remove_replaced(results, sha256)
    assert len(list((results / "networks").iterdir())) == 6
    remove_replaced(results, OTHER)
    assert not network_path(results, OTHER).exists()
    assert not network_path(results, OTHER).with_suffix(".json").exists()
    assert len(list((results / "networks").iterdir())) == 4


def test_verify_and_rm_tell_unnamed_networks(results):
    name = f"networks/{OTHER[:16]}.safetensors"
    assert (
        f"{name} is the network of no record: delete it and its card {OTHER[:16]}.json"
        in run("verify", "--results", str(results))[1]
    )
    (facts,) = json.loads(run("verify", "--results", str(results), "--json")[1])["folders"]
    assert facts["unnamed_networks"] == [name]
    # The old network goes with the last run that started from it; that of the other run stays.
    _, text = run("rm", "b", "--yes", "--results", str(results))
    assert f"{name} is the network of no record" in text
    assert not network_path(results, OLD).exists()
    assert network_path(results, NEW).exists()
    assert network_path(results, OTHER).exists()


def test_rm_keeps_the_network_of_the_run_before(results):
    start = {"recipe": "bcnn/fc_cnn_d@cub", "run_id": "a" * 16, "network_sha256": NEW}
    write_record(results / "records", run_id="c" * 16, starts_from=start)
    run("rm", "c", "--yes", "--results", str(results))
    assert network_path(results, NEW).exists()
