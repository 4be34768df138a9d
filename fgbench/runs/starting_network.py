"""The trained network from which a run starts: where its file is, and how it enters the method of the run.

The run takes over the parameter groups that the stages of the other run trained. Both methods must use the same names.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from fgbench.methods.base import Method
from fgbench.records.kept_networks import network_path, read_network
from fgbench.records.store import store_of
from fgbench.runs.run import Run
from fgbench.runs.trained_state import check_names
from fgbench.runs.training.loop import remove_files
from fgbench.util.errors import FgbenchError
from fgbench.util.files import write_text
from fgbench.util.hashing import hash_file
from fgbench.util.torch_files import EXTRA_STATE

START = "start.safetensors"
"""Name of the network in the work folder of a run for another machine, which has not the record of the other run."""
STARTED = "start.txt"
"""Name of the file in the work folder with the SHA-256 of the network from which the unfinished work started."""


def find_network(results: Path, parent: Run) -> Path:
    """Return the file of the network that a finished run kept.

    Raises:
        FgbenchError: the run is not finished, its network was not kept, or the file is missing or damaged.
    """
    again = "run the same command again: it trains the network again"
    sha256 = store_of(results).read(parent.id).network_sha256
    if not sha256:
        raise FgbenchError(f"the network of {parent.title} (run {parent.id}) was not kept", again)
    path = network_path(results, sha256)
    try:
        if hash_file(path) == sha256:
            return path
    except FileNotFoundError as error:
        raise FgbenchError(f"the network of {parent.title} (run {parent.id}) is missing: {path}", again) from error
    except OSError as error:
        raise FgbenchError(f"the network {path} cannot be read: {error.strerror or error}", again) from error
    raise FgbenchError(f"the network of {parent.title} (run {parent.id}) is damaged: {path}", again)


def start_from_network(run: Run, method: Method, results: Path, work: Path) -> dict[str, dict[str, str]]:
    """Load the network from which a run starts into its method.

    Unfinished work that started from another network is removed.

    Args:
        run: the run; it has a parent.
        method: the method, built but not trained; it is changed.
        results: results folder with the record of the parent.
        work: work folder of the run.

    Returns:
        The field `starts_from` of the record.

    Raises:
        FgbenchError: the network is not here, is damaged, or does not fit the method.
    """
    assert run.parent is not None
    sent = work / START
    path = sent if sent.is_file() else find_network(results, run.parent)
    sha256 = hash_file(path)
    started = work / STARTED
    if started.is_file() and started.read_text(encoding="utf-8") != sha256:
        remove_files(work, "checkpoint.pt", "features-*", "fitted.pt", "descriptors.*", "test-*")
        remove_files(work / "watched", "*")
    write_text(started, sha256)
    groups = {group for stage in run.parent.settings.stages.values() for group in stage.train}
    try:
        take_over(method, read_network(path), groups)
    except FgbenchError as error:
        raise FgbenchError(
            f"{run.recipe.key} cannot start from the network of {run.parent.recipe.key}: {error.args[0]}",
            "correct starts_from, or the networks and options of the two recipes",
        ) from error
    return {"starts_from": {"recipe": run.parent.recipe.key, "run_id": run.parent.id, "network_sha256": sha256}}


def take_over(method: Method, tensors: Mapping[str, Tensor], groups: set[str]) -> None:
    """Load the tensors of some parameter groups into a method.

    Args:
        method: the method; it is changed.
        tensors: tensors by name; those that the groups do not have are ignored.
        groups: names of parameter groups. Groups that the method does not have are ignored.

    Raises:
        FgbenchError: a tensor of the groups is missing or has another shape. The method is then unchanged.
    """
    modules = [module for group in groups & {*method.HEAD, *method.TRUNK} for module in method.modules_of(group)]
    members = {id(value) for module in modules for value in module.state_dict(keep_vars=True).values()}
    state = method.state_dict(keep_vars=True)
    expected = {name: value for name, value in state.items() if id(value) in members and not name.endswith(EXTRA_STATE)}
    given = {name: tensors[name] for name in expected if name in tensors}
    check_names(expected, given)
    if not given:
        raise FgbenchError(f"the method has none of the groups {', '.join(sorted(groups))}")
    method.load_state_dict(given, strict=False)
