"""The verbs `run`, `evaluate` and `predict` as functions of Python, such as `fgbench.run(...)`.

A mistake raises `FgbenchError`. Nothing is printed except by `report`.
"""

import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fgbench.cli.function_calls import OTHER_CODE, Report, StepWatcher, calling, described, error_of, print_steps
from fgbench.util.errors import FgbenchError
from fgbench.util.files import expand_user, make_folder

if TYPE_CHECKING:
    from fgbench.records.record import Record
    from fgbench.runs.image_predictions import Prediction
    from fgbench.runs.planning import Plan

PathLike = str | os.PathLike[str]


def run(
    recipe: str,
    *,
    data: str = "cub",
    profile: str = "auto",
    seed: int = 0,
    results: PathLike = "runs",
    keep_network: bool | None = None,
    device: str | None = None,
    classes: int | None = None,
    size: int | None = None,
    backbone: str | None = None,
    precision: str | None = None,
    epochs: int | None = None,
    limit: int | None = None,
    set_values: Mapping[str, object] | None = None,
    shuffle_labels: bool = False,
    watch_test: bool = False,
    report: Report | None = None,
) -> "Record":
    """Run a recipe with one seed, as `fgbench run`, and return its record.

    The run is executed in a process of its own. A finished run is not executed again; an interrupted one continues.

    Args:
        recipe: name of a recipe, such as `bcnn/bcnn_dd`, or a printed cell.
        data: data set of the recipe; `imagefolder:PATH` for images of your own.
        profile: `quick`, `frozen`, `paper`, or `auto` (`paper` with a GPU and the real data, else `quick`).
        seed: seed of the run.
        results: results folder for records and unfinished work.
        keep_network: keep the trained network; None for networks that are trained under `paper`.
        device: `cpu` or `cuda`; None for a GPU if there is one.
        classes: use only the first classes.
        size: input size in pixels.
        backbone: network for every stream, as `network:tap`.
        precision: precision of the networks, `32-true`, `bf16-mixed`, or `auto` (`bf16-mixed` where a probe of this
            machine shows that it is faster).
        epochs: number of epochs of each stage.
        limit: use only so many training and so many test images.
        set_values: values of the recipe by name, such as `{"svm.c": 10}`.
        shuffle_labels: control experiment with permuted training labels.
        watch_test: record the test accuracy after each epoch.
        report: called with (what is done now, finished share from 0 to 1); None to print each step on standard error.

    Raises:
        FgbenchError: an unknown recipe or option, missing data or weights, or the run failed.

    Example:
        record = fgbench.run("bcnn/bcnn_dd", profile="quick", keep_network=True)
        print(record.values["accuracy"].value, record.run_id)
    """
    from fgbench.cli.checked_arguments import checked_numbers
    from fgbench.cli.chosen_recipes import choose_recipes
    from fgbench.cli.next_steps import next_command
    from fgbench.cli.options import ExecutionOptions
    from fgbench.cli.run_requests import Request, plan_here
    from fgbench.runs.run import Changes

    numbers = checked_numbers(classes=classes, size=size, epochs=epochs, limit=limit, seed=seed)
    folder, say = expand_user(Path(results)), report or print_steps()
    changes = Changes(
        classes=numbers["classes"],
        size=numbers["size"],
        backbone=backbone,
        precision=precision,
        epochs=numbers["epochs"],
        limit=numbers["limit"],
        set_values=_assignments(set_values),
        shuffle_labels=shuffle_labels,
        watch_test=watch_test,
    )
    options = ExecutionOptions(profile=profile, seed=numbers["seed"], device=device, keep_network=keep_network)
    with calling(described("run", recipe, data=data, profile=profile, seed=seed, changes=changes)):
        request = Request.of(data, options, (recipe,), changes)
        if len(chosen := choose_recipes(request.data, [recipe])) > 1:
            raise FgbenchError(f"{recipe!r} stands for {len(chosen)} recipes", "name one recipe")
        plan = plan_here(request, folder, lambda text: say(text, 0.0))
        for obstacle in plan.blocked.values():
            raise FgbenchError(obstacle.reason, obstacle.command)
        record = _executed(plan, folder, say)[-1]  # the runs from which it starts come before it
    if keep_network and not record.network_sha256:
        raise FgbenchError(
            f"run {record.run_id} was finished before, without its network",
            f"{next_command('rm', record.run_id, results=folder)}, and run it again",
        )
    return record


def evaluate(
    files: PathLike | Sequence[PathLike],
    *,
    recipe: str,
    data: str = "cub",
    profile: str = "paper",
    name: str = "",
    names: PathLike | None = None,
    results: PathLike = "runs",
    classes: int | None = None,
    size: int | None = None,
    backbone: str | None = None,
    limit: int | None = None,
    set_values: Mapping[str, object] | None = None,
    report: Report | None = None,
) -> "list[Record]":
    """Test trained networks under the protocol of a recipe, as `fgbench evaluate`, and return their records.

    Args:
        files: checkpoint (`.safetensors`, `.pth`, `.pt`), or several, which are the seeds of one result.
        recipe: name of the recipe whose method and protocol are used.
        data: data set of the recipe; `imagefolder:PATH` for images of your own.
        profile: `paper`, or `quick` for networks of that profile.
        name: name of the result on pages; by default the name of the first file.
        names: TOML file with the table `names`: beginnings of names in the file, and what replaces them.
        results: results folder.
        classes: as for `run`, as are `size`, `backbone`, `limit`, `set_values` and `report`.
        size: see `classes`.
        backbone: see `classes`.
        limit: see `classes`.
        set_values: see `classes`.
        report: see `classes`.

    Returns:
        The record of each file.

    Raises:
        FgbenchError: an unknown recipe, missing data or weights, or a file that does not fit the method.

    Example:
        (record,) = fgbench.evaluate("bcnn.pth", recipe="bcnn/bcnn_dd", names="names.toml")
        print(record.values["accuracy"].value)
    """
    from fgbench.cli.checked_arguments import checked_numbers
    from fgbench.cli.evaluation import Evaluation
    from fgbench.runs.planning import Plan
    from fgbench.runs.run import Changes

    numbers = checked_numbers(classes=classes, size=size, limit=limit)
    folder, say = expand_user(Path(results)), report or print_steps()
    paths = _paths(files)
    changes = Changes(
        classes=numbers["classes"],
        size=numbers["size"],
        backbone=backbone,
        limit=numbers["limit"],
        set_values=_assignments(set_values),
    )
    if not paths:
        raise FgbenchError("there are no networks", "name at least one file")
    with calling(described("evaluate", [str(path) for path in paths], recipe=recipe, profile=profile, changes=changes)):
        renamed = None if names is None else expand_user(Path(names))
        evaluation = Evaluation.of(paths, recipe, data, profile, changes, name, renamed)
        return _executed(Plan(evaluation.runs, {}), folder, say)


def predict(
    run: "str | Record",
    images: PathLike | Sequence[PathLike],
    *,
    results: PathLike = "runs",
    top: int = 5,
    device: str | None = None,
    draw: PathLike | None = None,
    report: Report | None = None,
) -> "list[Prediction]":
    """Predict the classes of images with the kept network of a run, as `fgbench predict`.

    Args:
        run: record of the run, or its id or the beginning of it.
        images: file of an image, or several.
        results: results folder with the run and its network.
        top: number of classes of an image.
        device: `cpu` or `cuda`; None for the device of the run if it is here.
        draw: folder for pictures of attention, keypoints and samples, if the method has them.
        report: called with (what is done now, finished share from 0 to 1); None to print nothing.

    Returns:
        The prediction for each image: `label`, `classes` with scores and probabilities, `keypoints`, `drawings`.

    Warns:
        UserWarning: the run was computed by other code of fgbench than the installed one.

    Raises:
        FgbenchError: no such run, no kept network or a damaged one, or files that are no images; all are named.

    Example:
        (prediction,) = fgbench.predict(record, "photo.jpg")
        print(prediction.label, prediction.classes[0].score)
    """
    from fgbench.cli.chosen_device import checked_device
    from fgbench.cli.found_runs import find_run
    from fgbench.cli.options import existing
    from fgbench.runs.image_predictions import predict_files
    from fgbench.runs.kept_run import open_kept_run

    folder = existing(expand_user(Path(results)))
    run_id = find_run(folder, run if isinstance(run, str) else run.run_id)
    drawings = None if draw is None else expand_user(Path(draw))
    with calling():
        kept = open_kept_run(folder, run_id, checked_device(device))
        if not kept.same_code:
            warnings.warn(f"run {run_id} {OTHER_CODE}", stacklevel=2)
        return predict_files(
            kept, _paths(images), top=top, drawings=drawings, report=report or (lambda what, share: None)
        )


def _paths(files: PathLike | Sequence[PathLike]) -> list[Path]:
    """Return one path or several as a list, with the home folder in place of `~`."""
    several = [files] if isinstance(files, str | os.PathLike) else files
    return [expand_user(Path(file)) for file in several]


def _assignments(values: Mapping[str, object] | None) -> tuple[str, ...]:
    """Return values of settings as `--set` takes them."""
    return tuple(f"{name}={_toml(name, value)}" for name, value in (values or {}).items())


def _toml(name: str, value: object) -> str:
    """Return a value of Python as TOML; a text as it is.

    Raises:
        FgbenchError: the value is None or a table, which no setting has.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        items = (json.dumps(item) if isinstance(item, str) else _toml(name, item) for item in value)
        return f"[{', '.join(items)}]"
    if value is None or isinstance(value, Mapping):
        raise FgbenchError(
            f"set_values: {name} is {value!r}, not a number, a text or a list of them",
            "leave it out, or set each value by its dotted name, such as stages.finetune.lr",
        )
    return str(value)


def _executed(plan: "Plan", folder: Path, say: Callable[[str, float], object]) -> "list[Record]":
    """Execute runs and return their records."""
    from fgbench.records.store import store_of
    from fgbench.runs.executors import runner

    make_folder(folder)
    result = runner.run_plan(plan, folder, StepWatcher(say))
    for failure in result.failures:
        raise error_of(failure, folder)
    return [store_of(folder).read(run.id) for run in plan.runs]
