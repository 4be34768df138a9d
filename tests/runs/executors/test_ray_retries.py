"""Submission of runs to a cluster with retries, on a replacement for Ray with prepared answers."""

from types import SimpleNamespace

import mini
import pytest
from pool_tasks import Notes
from stored_records import record

from fgbench.records.store import Store
from fgbench.runs.executors import ray_retries
from fgbench.runs.executors.pool import Failure
from fgbench.runs.executors.ray_cluster import Cluster, ClusterSession
from fgbench.runs.executors.runner import Result
from fgbench.runs.planning import Plan, plan
from fgbench.util.errors import FgbenchError


class RayError(Exception):
    pass


ERRORS = ("NodeDiedError", "WorkerCrashedError", "LocalRayletDiedError", "OutOfMemoryError", "ObjectLostError")
exceptions = SimpleNamespace(RayError=RayError, **{name: type(name, (RayError,), {}) for name in ERRORS})


class Ray:
    """A replacement for Ray that answers each attempt of a run with the next of `answers`, then no more."""

    exceptions = exceptions
    cloudpickle = SimpleNamespace(register_pickle_by_value=lambda module: None)

    def __init__(self, answers, nodes=("a", "b"), **resources):
        self.answers, self.submissions, self.resource_needs, self.cancelled = iter(answers), [], {}, []
        self.silent = 0
        self.alive = {node: {"CPU": 2, **resources} for node in nodes}

    def nodes(self):
        return [{"NodeID": node, "Alive": True, "Resources": has} for node, has in self.alive.items()]

    def remote(self, **resource_needs):
        self.resource_needs.setdefault("board" if resource_needs["num_cpus"] == 0 else "run", resource_needs)
        return lambda task: SimpleNamespace(options=self.options, remote=self.board)

    def board(self):
        return SimpleNamespace(read=SimpleNamespace(remote=dict))

    def options(self, **options):
        def remote(board, title, request):
            self.submissions.append((request["run_id"], options))
            return (request["run_id"], len(self.submissions))

        return SimpleNamespace(remote=remote)

    def wait(self, refs, timeout):
        answer = next(self.answers, None)
        if answer is None:
            self.silent += 1
            assert self.silent < 1000, "a run waits without an answer"
            return [], refs
        self.next = answer
        return refs[:1], refs[1:]

    def get(self, ref, timeout=None):
        if isinstance(ref, dict):
            return ref
        if isinstance(self.next, Exception):
            raise self.next
        return self.next

    def cancel(self, ref, force):
        self.cancelled.append(ref)

    def kill(self, actor):
        pass


class NotesWithMessages(Notes):
    """Keeps progress, ends and messages."""

    def __init__(self):
        super().__init__()
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def run():
    return mini.run_of("fv_sift")


@pytest.fixture
def files(run, tmp_path):
    """Return the files that a node sends for the run."""
    store = Store(tmp_path / "node")
    store.write(*record(run.id))
    return store.take(run.id)


def execute_plan(ray, runs, folder, notes=None, **options):
    return ClusterSession(ray, Cluster(**options)).run(Plan(tuple(runs), {}), folder, notes or NotesWithMessages())


def died(name="NodeDiedError"):
    return getattr(exceptions, name)("The node died.\nIts logs are long.")


@pytest.mark.parametrize("name", ERRORS)
def test_a_run_is_repeated_after_its_node_dies(name, run, files, tmp_path):
    answers = [died(name), ("b", "10.0.0.2", 1.0, ("died", "its process ended")), ("a", "", 3.0, ("done", files))]
    ray, notes = Ray(answers), NotesWithMessages()
    assert execute_plan(ray, [run], tmp_path / "r", notes) == Result(1, 0, ())
    assert [run_id for run_id, _ in ray.submissions] == [run.id] * 3
    assert [note.partition(": ")[2] for note in notes.notes] == [
        f"{ray_retries.DEATHS[name]}; retry 1 of 3",
        "its process ended on 10.0.0.2; retry 2 of 3",
    ]
    assert notes.ends == [(run.title, None)]
    assert {path.name: path.read_bytes() for path in (tmp_path / "r/records").iterdir()} == files


@pytest.mark.parametrize("retries", [0, 3])
def test_a_run_fails_after_the_maximum_number_of_retries(retries, run, tmp_path):
    ray, notes = Ray([died()] * 9), NotesWithMessages()
    (failure,) = execute_plan(ray, [run], tmp_path, notes, retries=retries).failures
    assert len(ray.submissions) == retries + 1
    assert failure.message.startswith(f"run {run.id}: tried {retries + 1} times")
    assert notes.ends == [(run.title, failure)]


def test_a_failed_run_is_not_repeated(run, tmp_path):
    failure = Failure(run.title, "no such thing\n  type that", error="FgbenchError")
    ray, notes = Ray([("a", "", 1.0, ("failed", failure))]), NotesWithMessages()
    assert execute_plan(ray, [run], tmp_path, notes) == Result(0, 0, (failure,))
    assert len(ray.submissions) == 1
    assert notes.ends == [(run.title, failure)]


def test_an_error_in_the_ray_task_is_a_failure_with_traceback(run, tmp_path):
    (failure,) = execute_plan(Ray([RayError("Traceback\n  line\nKeyError: 'x'")]), [run], tmp_path).failures
    assert failure.message == "KeyError: 'x'"
    assert failure.detail.startswith("Traceback")


def test_an_incomplete_record_is_a_failure(run, files, tmp_path):
    files[f"{run.id}.npz"] = files[f"{run.id}.npz"][:-1]
    (failure,) = execute_plan(Ray([("a", "", 1.0, ("done", files))]), [run], tmp_path / "r").failures
    assert "cannot be written" in failure.message
    assert not Store(tmp_path / "r/records").has(run.id)


def test_a_refused_run_is_submitted_to_other_nodes(run, files, tmp_path):
    answers = [("a", "10.0.0.1", 1.0, ("refused", "torch is 1,\n  not 2")), ("b", "", 1.0, ("done", files))]
    ray, notes = Ray(answers), NotesWithMessages()
    assert execute_plan(ray, [run], tmp_path / "r", notes) == Result(1, 0, ())
    assert [options.get("label_selector") for _, options in ray.submissions] == [None, {"ray.io/node-id": "!in(a)"}]
    assert notes.notes == ["refused by 10.0.0.1: torch is 1, not 2"]
    ray = Ray([("a", "10.0.0.1", 1.0, ("refused", "no data")), ("b", "10.0.0.2", 1.0, ("refused", "no weights"))])
    (failure,) = execute_plan(ray, [run], tmp_path / "s").failures
    assert ray.submissions[-1][1]["label_selector"] == {"ray.io/node-id": "!in(a,b)"}
    assert failure.message == f"run {run.id}: no node can execute it. 10.0.0.1: no data; 10.0.0.2: no weights"
    assert len(ray.cancelled) == 1


def test_no_run_is_submitted_without_a_suitable_node(run, tmp_path):
    ray = Ray([])
    with pytest.raises(FgbenchError, match="no node of the cluster has 3 CPUs"):
        execute_plan(ray, [run], tmp_path, cpus=3)
    assert ray.submissions == []


def test_a_run_fails_after_waiting_for_a_new_node(run, tmp_path, monkeypatch):
    class Vanishing(Ray):
        def wait(self, refs, timeout):
            self.alive.clear()
            return super().wait(refs, timeout)

    monkeypatch.setattr(ray_retries, "time", SimpleNamespace(monotonic=iter(range(1000)).__next__))
    ray = Vanishing([])
    (failure,) = execute_plan(ray, [run], tmp_path).failures
    assert failure.message == f"run {run.id}: no node has had 1 CPUs for 60 s"
    assert ray.silent > 50


def test_runs_on_gpus_reserve_them_and_do_not_reuse_workers(run, tmp_path):
    (gpu,) = plan([run.recipe], "quick", [0], device="cuda").runs
    resource_needs = {}
    for share in (None, 0.5):
        ray = Ray([died()], GPU=1)
        session = ClusterSession(ray, Cluster(gpus=share, retries=0))
        assert session.has_gpu
        session.run(Plan((gpu,), {}), tmp_path, NotesWithMessages())
        resource_needs[share] = ray.resource_needs["run"]
    assert [(need["num_gpus"], need["max_calls"], need["max_retries"]) for need in resource_needs.values()] == [
        (1, 1, 0),
        (0.5, 1, 0),
    ]
    assert not ClusterSession(Ray([], GPU=1), Cluster(gpus=0)).has_gpu
    assert not ClusterSession(Ray([]), Cluster()).has_gpu
    with pytest.raises(FgbenchError, match="no node of the cluster has 1 CPUs and 1 GPUs"):
        execute_plan(Ray([]), [gpu], tmp_path)


def test_a_run_with_a_record_is_not_submitted(run, files, tmp_path):
    Store(tmp_path / "r/records").add(run.id, files)
    ray = Ray([])
    assert execute_plan(ray, [run], tmp_path / "r") == Result(0, 1, ())
    assert ray.submissions == []


@pytest.mark.parametrize(("options", "cores"), [({}, 1), ({"cpus": 2}, 2)])
def test_a_run_reserves_its_threads_or_the_requested_cores(run, files, tmp_path, options, cores):
    ray = Ray([("a", "10.0.0.1", 1.0, ("done", files))])
    assert execute_plan(ray, [run], tmp_path / "s", **options).done == 1
    assert ray.resource_needs["run"]["num_cpus"] == cores
