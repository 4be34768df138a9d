"""The log of the training of a run: lines in `logs/`, and the loggers that the user chose."""

from functools import partial
from pathlib import Path

from fgbench.records.run_log import add_to_log
from fgbench.runs.run import Run
from fgbench.runs.training.loggers import make_loggers
from fgbench.runs.training.training_log import TrainingLog


def training_log(run: Run, results: Path, images: int) -> TrainingLog:
    """Return the log of the training of a run.

    Args:
        run: the run.
        results: results folder.
        images: number of training images.

    Raises:
        FgbenchError: the package of a logger is not installed.
    """
    stages = run.own_stages
    name = f"{run.recipe.key.replace('/', '_')}-seed{run.seed}-{run.id}"
    names = run.loggers if stages else ()
    loggers = make_loggers(names, results, name, run.settings.model_dump(mode="json"))
    return TrainingLog(loggers, run.log_every, stages, images, partial(add_to_log, results, run.id))
