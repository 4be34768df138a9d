"""Loggers of a training: where the values of steps and epochs are written, besides the record."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fgbench.util.errors import FgbenchError
from fgbench.util.registry import Registry

if TYPE_CHECKING:
    from lightning_fabric.loggers.logger import Logger

LOGGERS = "loggers"
"""Name of the folder of loggers in a results folder."""
MakeLogger = Callable[[Path, str, Mapping[str, Any]], "Logger"]
"""Makes a logger of Lightning Fabric for a run, from a folder, the name of the run, and the settings of the run as JSON
values. A continued run makes a new one with the same arguments."""

makers: Registry[MakeLogger] = Registry("logger", callable, "a function of a folder, a name and settings")


@makers("csv")
def csv_logger(folder: Path, name: str, settings: Mapping[str, Any]) -> "Logger":
    """Return a logger that writes `<name>/version_N/metrics.csv`; each session of a run has a version of its own."""
    from lightning_fabric.loggers.csv_logs import CSVLogger

    return CSVLogger(folder, name)


@makers("tensorboard")
def tensorboard_logger(folder: Path, name: str, settings: Mapping[str, Any]) -> "Logger":
    """Return a logger for TensorBoard; the sessions of a run share a folder.

    Raises:
        FgbenchError: the package `tensorboard` is not installed.
    """
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger

    try:
        return TensorBoardLogger(folder, name, version="")
    except ModuleNotFoundError as error:
        raise FgbenchError("--log tensorboard needs the package tensorboard", "pip install tensorboard") from error


def known_loggers(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of loggers without repetitions.

    Raises:
        FgbenchError: a name is unknown.
    """
    known = tuple(dict.fromkeys(names))
    for name in known:
        makers[name]
    return known


def make_loggers(names: tuple[str, ...], results: Path, run: str, settings: Mapping[str, Any]) -> dict[str, "Logger"]:
    """Make the loggers of a run.

    Args:
        names: their names.
        results: results folder; a logger writes to `loggers/<name of the logger>` in it.
        run: name of the run, which can be a name of a folder.
        settings: settings of the run.

    Returns:
        Name -> logger.

    Raises:
        FgbenchError: a name is unknown, or the package of a logger is not installed.
    """
    return {name: makers[name](results / LOGGERS / name, run, settings) for name in names}
