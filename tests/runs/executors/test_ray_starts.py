"""Runs on a cluster that start from the network of another run, on a replacement for Ray with prepared answers."""

import hashlib
import json
from dataclasses import replace

import mini
import pytest
import torch
from stored_records import record
from test_ray_retries import NotesWithMessages, Ray, died, execute_plan

from fgbench.records.kept_networks import keep_network, network_path
from fgbench.records.store import store_of
from fgbench.runs.executors.pool import Failure
from fgbench.runs.executors.runner import Result
from fgbench.runs.executors.sent_files import add_files, drop_stale, take_files
from fgbench.runs.run import Changes
from fgbench.util.errors import FgbenchError


@pytest.fixture(scope="module")
def children():
    """Two runs that start from the network of the same run."""
    return [
        mini.run_of("fv_cnn_d", starts=True, changes=Changes(set_values=(f"options.words={words}",)))
        for words in (8, 4)
    ]


def finish(folder, run_id, network=None, start=""):
    """Write the record of a run, with its network if there is one, and the hash of that from which it started."""
    sha256 = keep_network(folder, network, {"recipe": "x"}) if network else ""
    begin = {"recipe": "x", "run_id": "0" * 16, "network_sha256": start} if start else None
    store_of(folder).write(*record(run_id, network_sha256=sha256, starts_from=begin))


def sent(folder, run_id, network=None, start=""):
    """Return the files that a node sends for a run; see `finish`."""
    finish(folder, run_id, network, start)
    return take_files(folder, run_id)


def done(files, node="a"):
    return (node, "10.0.0.1", 1.0, ("done", files))


@pytest.fixture
def answers(children, tmp_path):
    """Return the answer to the run before, and those to the two that start from its network."""
    network = {"backbone.weight": torch.arange(6.0)}
    parent = sent(tmp_path / "node", children[0].parent.id, network)
    sha256 = json.loads(parent[f"{children[0].parent.id}.json"])["network_sha256"]
    return done(parent), *(done(sent(tmp_path / "node", child.id, start=sha256), "b") for child in children)


class Recording(Ray):
    """Keeps the network in each request."""

    def options(self, **options):
        submitted = super().options(**options)

        def remote(board, title, request):
            self.networks.append(request["network"])
            return submitted.remote(board, title, request)

        return type("Submitted", (), {"remote": staticmethod(remote)})

    networks: list[bytes]


def executed(answers, runs, folder, notes=None):
    ray = Recording(answers)
    ray.networks = []
    return ray, execute_plan(ray, runs, folder, notes)


def test_the_network_is_brought_back_and_sent_with_each_run_that_starts_from_it(children, answers, tmp_path):
    folder = tmp_path / "r"
    ray, result = executed(answers, children, folder)
    assert result == Result(3, 0, ())
    assert [run_id for run_id, _ in ray.submissions] == [children[0].parent.id, *(child.id for child in children)]
    sha256 = store_of(folder).read(children[0].parent.id).network_sha256
    path = network_path(folder, sha256)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    assert path.with_suffix(".json").is_file()
    assert ray.networks == [b"", path.read_bytes(), path.read_bytes()]
    assert not [path for path in (tmp_path / "node").rglob("*") if path.is_file() and path.suffix != ".lock"]
    # The network is here: it is not trained again.
    (folder / "records" / f"{children[1].id}.json").unlink()
    ray, result = executed(answers[2:], children, folder)
    assert (result, [run_id for run_id, _ in ray.submissions]) == (Result(1, 1, ()), [children[1].id])


def test_a_killed_run_is_repeated_and_keeps_those_that_start_from_it(children, answers, tmp_path):
    notes = NotesWithMessages()
    ray, result = executed([died(), *answers], children, tmp_path / "r", notes)
    parent = children[0].parent.id
    assert result == Result(3, 0, ())
    assert [run_id for run_id, _ in ray.submissions] == [parent, parent, *(child.id for child in children)]
    assert len(notes.notes) == 1


def test_runs_that_start_from_a_failed_run_are_not_submitted(children, tmp_path):
    parent = children[0].parent
    failure = Failure(parent.title, "no such thing", error="FgbenchError")
    notes = NotesWithMessages()
    ray, result = executed([("a", "", 1.0, ("failed", failure))], children, tmp_path, notes)
    assert [run_id for run_id, _ in ray.submissions] == [parent.id]
    message = f"not run, because {parent.title} failed"
    assert result == Result(0, 0, (failure, *(Failure(child.title, message) for child in children)))
    assert len(notes.ends) == 3


def test_a_network_that_was_not_sent_or_was_changed_is_a_failure(children, answers, tmp_path):
    files = dict(answers[0][3][1])
    (name,) = (name for name in files if name.endswith(".safetensors"))
    parent = children[0].parent
    for number, wrong in enumerate(({**files, name: files[name][:-1]}, {**files, "networks/../x": b""})):
        with pytest.raises(FgbenchError, match="is not the file that its record names"):
            add_files(tmp_path / str(number), parent, wrong)
        assert not (tmp_path / str(number)).exists()
    without = {name: content for name, content in files.items() if not name.startswith("networks/")}
    _, result = executed([done(without)], children[:1], tmp_path / "r")
    assert "is missing" in result.failures[0].message


def test_a_record_that_started_from_another_network_is_refused_and_dropped_on_the_node(children, answers, tmp_path):
    stale = sent(tmp_path / "old", children[0].id, start="a" * 64)
    _, result = executed([answers[0], done(stale)], children[:1], tmp_path / "r")
    assert "started from another network than that of run" in result.failures[0].message
    assert not store_of(tmp_path / "r").has(children[0].id)
    network = b"the network that is sent"
    for start, stays in (("a" * 64, False), (hashlib.sha256(network).hexdigest(), True)):
        folder = tmp_path / f"node {stays}"
        finish(folder, children[0].id, start=start)
        drop_stale(folder, children[0].id, network)
        assert store_of(folder).has(children[0].id) == stays
    # A damaged record is removed with its arrays, so that the run is executed again.
    (store_of(folder).folder / f"{children[0].id}.json").write_text("{")
    drop_stale(folder, children[0].id, network)
    assert list(store_of(folder).folder.iterdir()) == []


def test_a_record_is_replaced_only_if_its_network_is_needed(children, answers, tmp_path):
    parent, files = children[0].parent, answers[0][3][1]
    store_of(tmp_path / "r").write(*record(parent.id))
    add_files(tmp_path / "r", parent, files)
    assert store_of(tmp_path / "r").read(parent.id).network_sha256 == ""
    add_files(tmp_path / "r", replace(parent, network_needed=True), files)
    assert store_of(tmp_path / "r").read(parent.id).network_sha256 != ""
