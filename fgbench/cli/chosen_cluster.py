"""The Ray cluster that the options of the command line describe."""

from typing import Any

from fgbench.runs.executors import ray_cluster
from fgbench.util.errors import FgbenchError, nearest


def choose_cluster(executor: str, jobs: int | None, **options: Any) -> ray_cluster.Cluster | None:
    """Return the cluster that the options of the command line describe, or None for this machine.

    Raises:
        FgbenchError: an unknown executor, or an option of the other executor.
    """
    set_options = {name: value for name, value in options.items() if value is not None}
    if executor == "local":
        if set_options:
            raise FgbenchError(f"--{next(iter(set_options))} is for runs on a cluster", "--executor ray")
        return None
    if executor != "ray":
        raise FgbenchError(f"no executor named {executor!r}; {nearest(executor, ['local', 'ray'])}", "--executor ray")
    if jobs:
        raise FgbenchError(
            "--jobs is for this machine: a cluster runs as many recipes at a time as it has room for",
            "leave out --jobs",
        )
    return ray_cluster.Cluster(**set_options)
