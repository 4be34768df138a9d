"""Submission of runs to a Ray cluster, with retries, until each run has a record or has failed.

Ray sends the code of this module and of `remote` to the nodes: a node without fgbench must be able to answer.
"""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fgbench.records.store import Store
from fgbench.runs.executors.pool import Failure, Watcher, not_run
from fgbench.runs.executors.remote import Answer, request_for, serve
from fgbench.runs.executors.sent_files import add_files
from fgbench.runs.run import Run
from fgbench.util.errors import FgbenchError

POLL_S = 1.0
"""Seconds between two progress reports of a node, and between two checks of the nodes."""
PATIENCE_S = 60.0
"""Seconds that a run waits for a suitable node after all suitable nodes died."""
DEATHS = {
    "NodeDiedError": "its node died",
    "WorkerCrashedError": "its worker died",
    "LocalRayletDiedError": "its node died",
    "OutOfMemoryError": "its node ran out of memory",
    "ObjectLostError": "its node died before the record was here",
}
"""Errors of Ray after which a run is repeated, and their description."""


def alive(ray: Any) -> list[dict[str, Any]]:
    """Return Ray's descriptions of the nodes that are alive."""
    return [node for node in ray.nodes() if node["Alive"]]


class _ProgressActor:
    """A Ray actor that collects the progress of runs from the nodes."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[str, float]] = {}

    def post(self, name: str, what: str, share: float) -> None:
        """Store the progress of a run: the name of its current step, and its finished share."""
        self._latest[name] = (what, share)

    def read(self) -> dict[str, tuple[str, float]]:
        """Return the progress since the last call."""
        latest, self._latest = self._latest, {}
        return latest


def _do(progress: Any, name: str, request: dict[str, Any]) -> tuple[str, str, float, Answer]:
    """The Ray task: execute a run; return the id of the node, its address, the seconds, and the answer."""
    import ray

    # Otherwise a child process would import the main program of this process, which is Ray's.
    sys.modules["__main__"].__file__ = None
    started = last_report = time.monotonic()
    place = ray.util.get_node_ip_address()

    def report(what: str, share: float) -> None:
        nonlocal last_report
        if time.monotonic() - last_report > POLL_S:
            last_report = time.monotonic()
            progress.post.remote(name, f"{what} on {place}", share)

    progress.post.remote(name, f"starting on {place}", 0.0)
    answer = serve(**request, report=report)
    return ray.get_runtime_context().get_node_id(), place, time.monotonic() - started, answer


@dataclass(slots=True)
class _Attempt:
    """A submitted run."""

    run: Run
    started: float = field(default_factory=time.monotonic)
    deaths: int = 0
    """Number of nodes and workers that died during the run."""
    refused: dict[str, str] = field(default_factory=dict)
    """Id of each node that refused the run -> its address and reason."""
    without_node_since: float | None = None
    """Time since when no suitable node is alive."""

    def failure(self, why: str) -> Failure:
        """Return the failure of this run."""
        return Failure(self.run.title, f"run {self.run.id}: {why}")


def _starts_from(run: Run, other: Run) -> bool:
    """Return True if a run starts from the network of another one."""
    return run.parent is not None and run.parent.id == other.id


class Submission:
    """Submits runs, some of them repeatedly, until each has a record or has failed.

    Args:
        ray: the module ray, connected.
        runs: runs with the same device.
        store: store of the records.
        watcher: receives the progress.
        cpus: number of cores of each run.
        gpus: number of GPUs of each run, or its share of one.
        retries: maximum number of repetitions after a node or worker died.

    Raises:
        FgbenchError: no node has the resources of a run.
    """

    def __init__(
        self, ray: Any, runs: Sequence[Run], store: Store, watcher: Watcher, *, cpus: int, gpus: float, retries: int
    ) -> None:
        self._ray, self._store, self._watcher, self._retries = ray, store, watcher, retries
        self._needs = {"CPU": cpus, "GPU": gpus}
        if not self._suitable_nodes():
            raise FgbenchError(f"no node of the cluster has {self._need}", "ask for less with --cpus and --gpus")
        # A worker process keeps its first GPU, so it must not be used for a second run.
        once = {"max_calls": 1} if gpus else {}
        self._task = self._ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0, **once)(_do)
        self._progress_actor = self._ray.remote(num_cpus=0, max_restarts=-1)(_ProgressActor).remote()
        self._waiting = [_Attempt(run) for run in runs]
        self._unfinished = {run.id for run in runs}
        self._pending: dict[Any, _Attempt] = {}
        self._failures: list[Failure] = []
        self._noted: set[tuple[str, str]] = set()

    def execute(self) -> list[Failure]:
        """Execute the runs; return the failures."""
        try:
            self._submit_startable()
            while self._pending:
                for ref in self._ray.wait(list(self._pending), timeout=POLL_S)[0]:
                    self._receive(self._pending.pop(ref), ref)
                self._show()
                self._give_up_without_node()
        finally:
            for ref in self._pending:
                self._ray.cancel(ref, force=True)
            self._ray.kill(self._progress_actor)
        return self._failures

    def _submit_startable(self) -> None:
        """Submit the waiting runs, except those that start from the network of a run that is not finished."""
        for attempt in list(self._waiting):
            parent = attempt.run.parent
            if attempt in self._waiting and not (parent and parent.id in self._unfinished):
                self._waiting.remove(attempt)
                self._submit(attempt)

    def _submit(self, attempt: _Attempt) -> None:
        try:
            request = request_for(attempt.run, self._store.folder.parent)
        except FgbenchError as error:
            self._end(attempt, attempt.failure(str(error)))
            return
        options: dict[str, Any] = {"name": attempt.run.title}
        if attempt.refused:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(attempt.refused)})"}
        ref = self._task.options(**options).remote(self._progress_actor, attempt.run.title, request)
        self._pending[ref] = attempt

    def _receive(self, attempt: _Attempt, ref: Any) -> None:
        """Receive the result of an attempt: the run ends, or is submitted again."""
        errors, run = self._ray.exceptions, attempt.run
        try:
            node, place, wall_s, (kind, content) = self._ray.get(ref)
        except tuple(getattr(errors, name) for name in DEATHS) as error:
            words = [words for name, words in DEATHS.items() if isinstance(error, getattr(errors, name))]
            self._again(attempt, words[0])
        except errors.RayError as error:
            self._end(attempt, Failure(run.title, str(error).strip().rpartition("\n")[2], str(error)))
        else:
            if kind == "refused":
                self._refused(attempt, node, f"{place}: {' '.join(content.split())}")
            elif kind == "done":
                self._end(attempt, self._keep(run, content), wall_s)
            elif kind == "died":
                self._again(attempt, f"{content} on {place}")
            else:
                self._end(attempt, content, wall_s)

    def _keep(self, run: Run, files: dict[str, bytes]) -> Failure | None:
        try:
            add_files(self._store.folder.parent, run, files)
        except (FgbenchError, OSError) as error:
            return Failure(run.title, f"the record cannot be written: {error}")
        return None

    def _refused(self, attempt: _Attempt, node: str, why: str) -> None:
        """Submit a run again for other nodes, and report once why a node refused it."""
        if (node, why) not in self._noted:
            self._watcher.note(f"refused by {why}")
        self._noted.add((node, why))
        attempt.refused[node] = why
        self._submit(attempt)

    def _again(self, attempt: _Attempt, why: str) -> None:
        """Submit a run again after a node or worker died, up to the number of retries."""
        attempt.deaths += 1
        if attempt.deaths > self._retries:
            self._end(attempt, attempt.failure(f"tried {attempt.deaths} times, the last time {why}"))
            return
        self._watcher.note(f"{attempt.run.title}: {why}; retry {attempt.deaths} of {self._retries}")
        self._submit(attempt)

    def _end(self, attempt: _Attempt, failure: Failure | None, wall_s: float | None = None) -> None:
        self._failures += [failure] if failure else []
        wall_s = time.monotonic() - attempt.started if wall_s is None else wall_s
        self._watcher.finished(attempt.run.title, failure, wall_s)
        # After a failure, the waiting runs that start from the network end, too; first all of them stop to wait.
        dependents = [other for other in self._waiting if failure and _starts_from(other.run, attempt.run)]
        self._waiting = [other for other in self._waiting if other not in dependents]
        self._unfinished.discard(attempt.run.id)
        for other in dependents:
            self._end(other, not_run(other.run.title, attempt.run.title), 0.0)
        self._submit_startable()

    def _show(self) -> None:
        """Report the progress of the runs."""
        running = {attempt.run.title for attempt in self._pending.values()}
        # The node of the actor may have died; Ray restarts the actor on another node.
        with suppress(self._ray.exceptions.RayError):
            for name, progress in self._ray.get(self._progress_actor.read.remote(), timeout=POLL_S).items():
                if name in running:
                    self._watcher.progress(name, *progress)

    def _give_up_without_node(self) -> None:
        """Give up runs that no node can execute; Ray would keep them waiting forever."""
        suitable, now = self._suitable_nodes(), time.monotonic()
        for ref, attempt in list(self._pending.items()):
            failure = None
            if suitable - attempt.refused.keys():
                attempt.without_node_since = None
            elif suitable:
                failure = attempt.failure("no node can execute it. " + "; ".join(attempt.refused.values()))
            else:
                attempt.without_node_since = attempt.without_node_since or now
                if now - attempt.without_node_since > PATIENCE_S:
                    failure = attempt.failure(f"no node has had {self._need} for {PATIENCE_S:.0f} s")
            if failure:
                del self._pending[ref]
                self._ray.cancel(ref, force=True)
                self._end(attempt, failure)

    def _suitable_nodes(self) -> set[str]:
        """Ids of the nodes whose total resources are enough for a run."""
        return {
            node["NodeID"]
            for node in alive(self._ray)
            if all(node["Resources"].get(kind, 0) >= count for kind, count in self._needs.items())
        }

    @property
    def _need(self) -> str:
        """The resources of a run in words."""
        return " and ".join(f"{count:g} {kind}s" for kind, count in self._needs.items() if count)
