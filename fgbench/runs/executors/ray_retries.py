"""Runs that are handed in to a Ray cluster, some of them again, until each has its record or has failed.

What is here is sent to the nodes as it stands, with `fgbench.runs.executors.remote`: one that has no fgbench must be able to say so.
"""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fgbench.records.store import Store
from fgbench.runs.executors.pool import Failure, Watcher
from fgbench.runs.executors.remote import Answer, order, serve
from fgbench.runs.run import Run
from fgbench.util.errors import FgbenchError

POLL_S = 1.0
"""How often nodes tell how they get on, and are looked at."""
PATIENCE_S = 60.0
"""How long a run waits for a node that could do it, after those that could have died."""

DEATHS = {
    "NodeDiedError": "its node died",
    "WorkerCrashedError": "its worker died",
    "LocalRayletDiedError": "its node died",
    "OutOfMemoryError": "its node ran out of memory",
    "ObjectLostError": "its node died before the record was here",
}
"""Errors of Ray after which a run is done again, and what to say."""


def alive(ray: Any) -> list[dict[str, Any]]:
    """The nodes that are alive, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]


class _Board:
    """An actor to which nodes say how their runs get on."""

    def __init__(self) -> None:
        self._news: dict[str, tuple[str, float]] = {}

    def post(self, name: str, what: str, share: float) -> None:
        """A run has got to `share` and is doing `what`."""
        self._news[name] = (what, share)

    def read(self) -> dict[str, tuple[str, float]]:
        """What is new since the last call."""
        news, self._news = self._news, {}
        return news


def _do(board: Any, name: str, ordered: dict[str, Any]) -> tuple[str, str, float, Answer]:
    """The task: does a run on a node; gives the id of the node, its address, the seconds, and what came of it."""
    import ray

    # A process that is started from here would load the program of this one, too, which is Ray's.
    sys.modules["__main__"].__file__ = None
    started = told = time.monotonic()
    place = ray.util.get_node_ip_address()

    def report(what: str, share: float) -> None:
        nonlocal told
        if time.monotonic() - told > POLL_S:
            told = time.monotonic()
            board.post.remote(name, f"{what} on {place}", share)

    board.post.remote(name, f"starting on {place}", 0.0)
    answer = serve(**ordered, report=report)
    return ray.get_runtime_context().get_node_id(), place, time.monotonic() - started, answer


@dataclass(slots=True)
class _Try:
    """A run on its way."""

    run: Run
    started: float = field(default_factory=time.monotonic)
    deaths: int = 0
    """Nodes and workers it has seen die."""
    refused: dict[str, str] = field(default_factory=dict)
    """Id of each node that cannot do it -> its address and why."""
    homeless: float | None = None
    """Since when there has been no node for it."""

    def failure(self, why: str) -> Failure:
        """It cannot be done."""
        return Failure(self.run.title, f"run {self.run.id}: {why}")


class Rounds:
    """Runs that are handed in, some again, until each has its record or has failed.

    Args:
        ray: the module, connected.
        runs: with the same device and threads.
        store: where their records go.
        watcher: is told how it goes on.
        gpus: of each run, or its share of one.
        retries: how often one is done again after its node or worker died.

    Raises:
        FgbenchError: no node has what a run needs.
    """

    def __init__(
        self, ray: Any, runs: Sequence[Run], store: Store, watcher: Watcher, *, gpus: float, retries: int
    ) -> None:
        self._ray, self._store, self._watcher, self._retries = ray, store, watcher, retries
        self._needs = {"CPU": runs[0].threads, "GPU": gpus}
        if not self._able():
            raise FgbenchError(f"no node of the cluster has {self._need}", "ask for less with --cpus and --gpus")
        # A worker that has seen one GPU would not see another.
        once = {"max_calls": 1} if gpus else {}
        self._task = self._ray.remote(num_cpus=runs[0].threads, num_gpus=gpus, max_retries=0, **once)(_do)
        self._board = self._ray.remote(num_cpus=0, max_restarts=-1)(_Board).remote()
        self._waiting = [_Try(run) for run in runs]
        self._pending: dict[Any, _Try] = {}
        self._failures: list[Failure] = []
        self._said: set[tuple[str, str]] = set()

    def go(self) -> list[Failure]:
        """Do them; returns what failed."""
        try:
            for attempt in self._waiting:
                self._hand_in(attempt)
            while self._pending:
                for ref in self._ray.wait(list(self._pending), timeout=POLL_S)[0]:
                    self._hear(self._pending.pop(ref), ref)
                self._show()
                self._find_homeless()
        finally:
            for ref in self._pending:
                self._ray.cancel(ref, force=True)
            self._ray.kill(self._board)
        return self._failures

    def _hand_in(self, attempt: _Try) -> None:
        options: dict[str, Any] = {"name": attempt.run.title}
        if attempt.refused:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(attempt.refused)})"}
        ref = self._task.options(**options).remote(self._board, attempt.run.title, order(attempt.run))
        self._pending[ref] = attempt

    def _hear(self, attempt: _Try, ref: Any) -> None:
        """Take what came of a try: the end of the run, or another try."""
        errors, run = self._ray.exceptions, attempt.run
        try:
            node, place, wall_s, (kind, found) = self._ray.get(ref)
        except tuple(getattr(errors, name) for name in DEATHS) as error:
            words = [words for name, words in DEATHS.items() if isinstance(error, getattr(errors, name))]
            self._again(attempt, words[0])
        except errors.RayError as error:
            self._end(attempt, Failure(run.title, str(error).strip().rpartition("\n")[2], str(error)))
        else:
            if kind == "refused":
                self._refused(attempt, node, f"{place}: {' '.join(found.split())}")
            elif kind == "done":
                self._end(attempt, self._keep(run, found), wall_s)
            elif kind == "died":
                self._again(attempt, f"{found} on {place}")
            else:
                self._end(attempt, found, wall_s)

    def _keep(self, run: Run, files: dict[str, bytes]) -> Failure | None:
        try:
            self._store.add(run.id, files)
        except (FgbenchError, OSError) as error:
            return Failure(run.title, f"its record cannot be kept: {error}")
        return None

    def _refused(self, attempt: _Try, node: str, why: str) -> None:
        """Hand a run in again for other nodes, and say once why one is of no use."""
        if (node, why) not in self._said:
            self._watcher.note(f"not done on {why}")
        self._said.add((node, why))
        attempt.refused[node] = why
        self._hand_in(attempt)

    def _again(self, attempt: _Try, why: str) -> None:
        """Hand a run in again after a death, unless there were too many."""
        attempt.deaths += 1
        if attempt.deaths > self._retries:
            self._end(attempt, attempt.failure(f"tried {attempt.deaths} times, the last time {why}"))
            return
        self._watcher.note(f"{attempt.run.title}: {why}; done again ({attempt.deaths} of {self._retries})")
        self._hand_in(attempt)

    def _end(self, attempt: _Try, failure: Failure | None, wall_s: float | None = None) -> None:
        self._failures += [failure] if failure else []
        wall_s = time.monotonic() - attempt.started if wall_s is None else wall_s
        self._watcher.finished(attempt.run.title, failure, wall_s)

    def _show(self) -> None:
        """Say how the runs get on."""
        running = {attempt.run.title for attempt in self._pending.values()}
        with suppress(self._ray.exceptions.RayError):  # the board's node may have died; it comes up on another
            for name, news in self._ray.get(self._board.read.remote(), timeout=POLL_S).items():
                if name in running:
                    self._watcher.progress(name, *news)

    def _find_homeless(self) -> None:
        """Give up the runs that no node can do: Ray would keep them for ever."""
        able, now = self._able(), time.monotonic()
        for ref, attempt in list(self._pending.items()):
            failure = None
            if able - attempt.refused.keys():
                attempt.homeless = None
            elif able:
                failure = attempt.failure("no node can do it. " + "; ".join(attempt.refused.values()))
            else:
                attempt.homeless = attempt.homeless or now
                if now - attempt.homeless > PATIENCE_S:
                    failure = attempt.failure(f"for {PATIENCE_S:.0f} s no node has had {self._need}")
            if failure:
                del self._pending[ref]
                self._ray.cancel(ref, force=True)
                self._end(attempt, failure)

    def _able(self) -> set[str]:
        """Ids of the nodes that have what a run needs, when they are idle."""
        return {
            node["NodeID"]
            for node in alive(self._ray)
            if all(node["Resources"].get(kind, 0) >= count for kind, count in self._needs.items())
        }

    @property
    def _need(self) -> str:
        """What a run needs, in words."""
        return " and ".join(f"{count:g} {kind}s" for kind, count in self._needs.items() if count)
