"""The starting network of a run in `fgbench show`, `verify`, exports and pages."""

import hashlib
import json

import pytest
from command_line import run
from stored_records import edit, write_record

from fgbench.records.kept_networks import network_path

PARENT, CHILD = "a" * 16, "b" * 16


@pytest.fixture
def family(tmp_path):
    """Results folder with a run that keeps a network, and a run that started from it."""
    content = b"network"
    sha256 = hashlib.sha256(content).hexdigest()
    (tmp_path / "networks").mkdir()
    network_path(tmp_path, sha256).write_bytes(content)
    network_path(tmp_path, sha256).with_suffix(".json").write_text("{}")
    parent = write_record(
        tmp_path / "records", run_id=PARENT, recipe="bcnn/fc_cnn_d@cub", title="FC-CNN [D]", network_sha256=sha256
    )
    start = {"recipe": parent.recipe, "run_id": PARENT, "network_sha256": sha256}
    child = write_record(
        tmp_path / "records", run_id=CHILD, recipe="bcnn/fv_cnn_d@cub", title="FV-CNN [D]", starts_from=start
    )
    return tmp_path, child.starts_from


def verified(folder):
    code, text = run("verify", "--results", str(folder), "--json")
    (facts,) = json.loads(text)["folders"]
    start = [a for a in facts["anomalies"] if a["run"] == CHILD and "start" in a["kind"]]
    return code, [row["problem"] for row in facts["problems"] if row["run"] == CHILD], start


def shown(folder):
    text = " ".join(run("show", CHILD, "--results", str(folder), "--json")[1].split())
    rows = {row["what"]: row["value"] for row in json.loads(text)[CHILD]}
    return rows["started from"], rows.get("remark on its start", "")


def test_a_sound_family_has_no_remark(family):
    folder, start = family
    assert verified(folder)[1:] == ([], [])
    assert shown(folder) == (f"run {PARENT} of bcnn/fc_cnn_d@cub, network {start.network_sha256}", "")


def test_a_changed_network_file_is_a_problem_of_those_that_started_from_it(family):
    folder, start = family
    network_path(folder, start.network_sha256).write_bytes(b"other")
    code, problems, _ = verified(folder)
    assert code == 1
    (problem,) = problems
    assert problem.startswith(f"the network of run {PARENT}, from which it started, {start.network_sha256[:16]}")
    assert "is not the file that was written" in shown(folder)[1]
    network_path(folder, start.network_sha256).unlink()
    assert verified(folder)[1] == []
    assert shown(folder)[1] == "its starting network is not here"


@pytest.mark.parametrize("sealed", [False, True])
def test_an_invalid_record_of_the_run_before_is_told(family, sealed):
    """Without a new seal the record cannot be read; with one, its values are not those of its arrays."""
    folder, _ = family
    path = folder / "records" / f"{PARENT}.json"
    edit(path, lambda fields: fields["values"]["accuracy"].update(value=99.0, high=100.0), seal=sealed)
    code, _, anomalies = verified(folder)
    assert code == 1
    ((kind, invalid, text),) = [(a["kind"], a["invalidates_run"], a["text"]) for a in anomalies]
    assert (kind, invalid) == ("invalid start", True)
    assert text.endswith("whose record is damaged or was changed")
    assert shown(folder)[1].endswith("whose record is damaged or was changed")
    run("report", "--results", str(folder))
    page = (folder / "report/index.html").read_text()
    assert "invalid start" in page or "invalid start" in (folder / "report/bcnn.html").read_text()


def test_an_absent_run_and_one_that_was_trained_again_are_told(family):
    folder, _ = family
    path = folder / "records" / f"{PARENT}.json"
    edit(path, lambda fields: fields.update(network_sha256="2" * 64), seal=True)
    _, problems, anomalies = verified(folder)
    assert problems == []
    assert [a["kind"] for a in anomalies] == ["start"]
    assert "was trained again" in shown(folder)[1]
    path.unlink()
    assert "whose record is not here" in verified(folder)[2][0]["text"]
    assert "whose record is not here" in shown(folder)[1]


def test_exports_and_pages_name_the_start(family):
    folder, start = family
    for table in ("values", "runs"):
        rows = json.loads(run("export", table, "--results", str(folder), "--format", "json")[1])
        named = {
            (row["starts_from"], row["starts_from_run"], row["starts_from_network"])
            for row in rows
            if row["title"] == "FV-CNN [D]"
        }
        assert named == {(start.recipe, PARENT, start.network_sha256)}
        assert all(row["starts_from"] == "" for row in rows if row["title"] != "FV-CNN [D]")
    run("report", "--results", str(folder))
    for name in ("bcnn", "provenance"):
        assert str(start) in (folder / f"report/{name}.html").read_text(), name


def test_a_changed_definition_makes_no_start_invalid(family):
    """The report uses such a record, so `verify` and `show` do not call the runs after it invalid."""
    folder, _ = family
    path = folder / "records" / f"{PARENT}.json"
    edit(path, lambda fields: fields["values"]["accuracy"].update(definition="another one"), seal=True)
    code, problems, starts = verified(folder)
    assert (code, problems, starts) == (1, [], [])
    assert shown(folder)[1] == ""
