"""Planning: resolve recipes under a profile and seeds to runs, and find what is missing for them on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from fgbench.backbones import split_stream
from fgbench.backbones.networks import VECTOR_TAPS
from fgbench.datasets import Dataset, ReidDataset, find
from fgbench.datasets.index import Index
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.reid import ReidIndex
from fgbench.methods import methods, options_of
from fgbench.papers.recipes import Recipe
from fgbench.papers.settings import Settings
from fgbench.records.deviations import setting_deviations
from fgbench.records.record import Deviation
from fgbench.runs.experiment import protocol_of
from fgbench.runs.protocol import Protocol
from fgbench.runs.run import Changes, Run
from fgbench.runs.streams import StreamWeights, resolve_stream
from fgbench.util.errors import FgbenchError, MissingError, Obstacle, nearest

PRECISIONS = ("32-true", "bf16-mixed")
"""Precisions of a training, as Lightning Fabric names them."""
NO_CHANGES = Changes()
"""The settings of the profile, unchanged."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Runs to execute, and recipes that cannot run on this machine."""

    runs: tuple[Run, ...]
    """Runs, sorted by recipe, then by seed."""
    blocked: dict[str, Obstacle]
    """Recipe key -> missing data or weights, with the command that gets them."""


def plan(
    recipes: Sequence[Recipe],
    profile: str,
    seeds: Sequence[int],
    *,
    device: str = "cpu",
    changes: Changes = NO_CHANGES,
) -> Plan:
    """Resolve recipes under a profile. A recipe is blocked if its data or weights are missing.

    Args:
        recipes: the recipes.
        profile: `quick`, `frozen` or `paper`.
        seeds: seeds of the runs. A recipe whose values do not depend on the seed gets only the first.
        device: `cpu` or `cuda`.
        changes: changes of the user to the settings of the profile.

    Returns:
        The runs, and the blocked recipes.

    Raises:
        FgbenchError: a recipe names an unknown method, option, step or data set, or the changes do not fit.
    """
    runs: list[Run] = []
    blocked: dict[str, Obstacle] = {}
    for recipe in recipes:
        try:
            settings, protocol, streams, deviations = _resolve(recipe, profile, changes)
            first = Run(recipe, profile, seeds[0], settings, protocol, streams, device, deviations, changes)
            runs += [replace(first, seed=seed) for seed in (seeds if first.seeded else seeds[:1])]
        except MissingError as error:
            blocked[recipe.key] = Obstacle(f"{error.what}: {error.args[0]}", error.hint)
    return Plan(tuple(runs), blocked)


def obstacles(recipes: Sequence[Recipe]) -> dict[str, Obstacle]:
    """Return the recipes whose `paper` profile cannot run on this machine: recipe key -> missing data or weights."""
    missing = {}
    for recipe in recipes:
        try:
            find(recipe.settings.data).find()
            _streams(recipe.settings)
        except MissingError as error:
            missing[recipe.key] = Obstacle(f"{error.what}: {error.args[0]}", error.hint)
    return missing


def _resolve(
    recipe: Recipe, profile: str, changes: Changes
) -> tuple[Settings, Protocol, tuple[StreamWeights, ...], tuple[Deviation, ...]]:
    """Return settings, protocol, weights and deviations of a recipe under a profile."""
    settings = changed_settings(recipe, profile, changes)
    options_of(recipe.method, settings.options)
    _check(recipe, settings)
    if changes.watch_test and not (settings.stages and settings.classifier in {"svm", "softmax"}):
        raise FgbenchError(
            f"{recipe.key} trains no classifier, so its test accuracy cannot be recorded", "leave out --watch-test"
        )
    if changes.watch_every > 1 and not changes.watch_test:
        raise FgbenchError("--watch-every says when the test accuracy is recorded", "add --watch-test")
    dataset = find(settings.data)
    index = reduced(_index(settings.data, dataset.find()), changes)
    streams = _streams(settings)
    protocol = protocol_of(index, recipe, settings, shuffle=changes.shuffle_labels)
    deviations = (
        *setting_deviations(recipe, settings),
        *_data_deviations(dataset, index, recipe, protocol.control),
        *_weight_deviations(settings, streams),
    )
    return settings, protocol, streams, deviations


def reduced(index: Index | ReidIndex, changes: Changes) -> Index | ReidIndex:
    """Return the data set with only the classes that the user selected.

    Raises:
        FgbenchError: the data set has identities, not classes.
    """
    if not changes.classes:
        return index
    if isinstance(index, ReidIndex):
        raise FgbenchError(f"{index.name} has identities to search for, not classes: leave out --classes")
    return index.first_classes(changes.classes)


def planned_index(run: Run) -> Index | ReidIndex:
    """Return the data set of a run.

    Raises:
        FgbenchError: the data set has changed since the run was planned.
    """
    index = reduced(find(run.settings.data).index(), run.changes)
    if protocol_of(index, run.recipe, run.settings, shuffle=run.changes.shuffle_labels) != run.protocol:
        raise FgbenchError(
            f"{run.settings.data} has changed since this run was planned", f"fgbench data check {run.settings.data}"
        )
    return index


def _check(recipe: Recipe, settings: Settings) -> None:
    """Check that the recipe allows the annotations of its method, and that its stages name known groups and losses."""
    kind = methods[recipe.method]
    if missing := [need for need in kind.NEEDS if need not in recipe.train]:
        raise FgbenchError(
            f"{recipe.key}: {recipe.method} is trained with {missing[0]}, which the recipe does not allow",
            f'add "{missing[0]}" to its train',
        )
    for stage_name, stage in settings.stages.items():
        groups = (*kind.HEAD, *kind.TRUNK)
        if late := [drop for drop in stage.lr_drops if drop > stage.epochs]:
            raise FgbenchError(f"{recipe.key}: stage {stage_name!r} ends before its lr_drop in epoch {late[0]}")
        for key, names, known in (
            ("lr_scales", tuple(stage.lr_scales), tuple(group for group in groups if group != "classifier")),
            ("train", stage.train, groups),
            ("losses", stage.losses, kind.LOSSES),
        ):
            if unknown := [name for name in names if name not in known]:
                raise FgbenchError(
                    f"{recipe.key}: stage {stage_name!r}: {key} has no {unknown[0]!r}; {nearest(unknown[0], known)}"
                )


def changed_settings(recipe: Recipe, profile: str, changes: Changes) -> Settings:
    """Return the settings of a recipe under a profile, with the changes of the user.

    Raises:
        MissingError: the recipe does not define the profile.
        FgbenchError: the changes do not fit.
    """
    return _changed(recipe.resolve(profile), changes, recipe.key)


def _changed(settings: Settings, changes: Changes, recipe: str = "the recipe") -> Settings:
    """Return the settings with the changes of the user.

    Raises:
        FgbenchError: an unknown precision, network or tap, a tap that does not fit, or a change without effect.
    """
    update: dict[str, Any] = {}
    if changes.backbone and not settings.backbones:
        raise FgbenchError(f"{recipe} has no network to replace", "leave out --backbone")
    if changes.precision and not settings.stages:
        raise FgbenchError(f"{recipe} trains no network, so it has no precision", "leave out --precision")
    for name in ("train_pipeline", "test_pipeline"):
        pipeline = Pipeline.parse(getattr(settings, name))
        if changes.size:
            pipeline = pipeline.resized(changes.size)
        if changes.recompress:
            pipeline = pipeline.recompressed(changes.recompress)
        update[name] = str(pipeline)
    if changes.backbone:
        update["backbones"] = tuple(_replaced(stream, changes.backbone) for stream in settings.backbones)
        if not any(weights.startswith(f"{split_stream(changes.backbone)[0]}.") for weights in settings.weights):
            update["weights"] = ()  # the recipe names no file of this network: accept any
    if changes.precision:
        if changes.precision not in PRECISIONS:
            raise FgbenchError(f"no precision {changes.precision!r}; {nearest(changes.precision, PRECISIONS)}")
        update["precision"] = changes.precision
    return settings.model_copy(update=update)


def _replaced(stream: str, other: str) -> str:
    """Return a stream of another network: at its named tap if the stream is a map, at `pool` if it is a vector.

    The label after `#` stays.

    Raises:
        FgbenchError: the other network or its tap is unknown, or the tap is a vector and the stream is a map.
    """
    network, tap = split_stream(other)
    if split_stream(stream)[1] in VECTOR_TAPS:
        tap = tap if tap in VECTOR_TAPS else "pool"
    elif tap in VECTOR_TAPS:
        raise FgbenchError(f"{stream} is a map, {other} is a vector", f"name a map of {network}")
    plain = f"{network}:{tap}"
    split_stream(plain)
    return plain + "".join(stream.partition("#")[1:])


def _streams(settings: Settings) -> tuple[StreamWeights, ...]:
    return tuple(resolve_stream(stream, settings.weights) for stream in settings.backbones)


@lru_cache(maxsize=8)
def _index(name: str, folder: Path) -> Index | ReidIndex:
    """Return a data set. It is read once in a process, and every run of a plan shares it."""
    return find(name).load(folder, name)


def _data_deviations(
    dataset: Dataset | ReidDataset, index: Index | ReidIndex, recipe: Recipe, control: str
) -> list[Deviation]:
    """Return the deviations of a data set from the official one: annotations, counts, classes, images, control."""
    deviations = []

    def add(name: str, official: object, here: object, changes_experiment: bool) -> None:
        deviations.append(
            Deviation(field=name, recipe=official, run=here, origin="data", changes_experiment=changes_experiment)
        )

    if dataset.name != recipe.settings.data:
        add("data", recipe.settings.data, dataset.name, True)
    elif not dataset.synthetic:
        whole = _index(dataset.name, dataset.find())
        for kind, expected in dataset.official.items():
            if whole.annotation_hashes.get(kind) != expected:
                add(f"data.annotations.{kind}", "the official file", "another", True)
        for kind, number in dataset.counts.items():
            if whole.counts[kind] != number:
                add(f"data.counts.{kind}", number, whole.counts[kind], True)
        if isinstance(index, Index) and isinstance(whole, Index):
            if len(index.classes) != len(whole.classes):
                add("data.classes", len(whole.classes), f"the first {len(index.classes)}", True)
            if recompressed := index.count_not_jpeg():
                add(
                    "data.images",
                    "the official JPEG files",
                    f"{recompressed} of {len(index)} recompressed, not JPEG",
                    False,
                )
    if control != "none":
        add("control", "none", control, True)
    return deviations


def _weight_deviations(settings: Settings, streams: Sequence[StreamWeights]) -> list[Deviation]:
    """Return a deviation for each stream whose weights are not those that the recipe names first."""
    deviations = {}
    for number, stream in enumerate(streams):
        if not stream.official:
            name = f"weights.{number}"
            deviations[stream.stream] = Deviation(
                field=name,
                recipe=next(name for name in settings.weights if name.startswith(f"{stream.network}.")),
                run=f"{stream.name} for {stream.stream}",
                origin="ours",
                changes_experiment=not stream.original,
            )
    return list(deviations.values())
