"""Planning: resolve recipes under a profile and seeds to runs, and find what is missing for them on this machine."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from fgbench.datasets import OwnImages, find
from fgbench.datasets.image_folder import hashed_name
from fgbench.datasets.index import Index
from fgbench.datasets.reading_errors import with_next_step
from fgbench.datasets.reid import ReidIndex
from fgbench.methods import methods, options_of
from fgbench.papers.recipes import Recipe
from fgbench.papers.settings import Settings
from fgbench.papers.starts import check_shared_stages
from fgbench.records.deviations import code_deviations, setting_deviations
from fgbench.records.record import Deviation
from fgbench.runs.changed_settings import changed_settings, changes_of_start
from fgbench.runs.data_deviations import data_deviations
from fgbench.runs.experiment import protocol_of
from fgbench.runs.frozen_networks import check_fixed_blocks, trains_networks
from fgbench.runs.needed_annotations import check_annotations
from fgbench.runs.protocol import Protocol
from fgbench.runs.run import Changes, Run
from fgbench.runs.shared_start import start_deviations
from fgbench.runs.streams import StreamWeights, resolve_stream
from fgbench.util.errors import FgbenchError, MissingError, Obstacle, nearest

NO_CHANGES = Changes()
"""The settings of the profile, unchanged."""

_COMPILED = (Deviation(field="compile", recipe="eager", run="torch.compile", origin="ours", changes_experiment=False),)
"""Deviations of a run with compiled networks: other rounding."""


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
            first = _first_run(recipe, profile, seeds[0], device, changes)
            runs += [_with_seed(first, seed) for seed in (seeds if first.seeded else seeds[:1])]
        except MissingError as error:
            blocked[recipe.key] = Obstacle(f"{error.what}: {error.args[0]}", error.hint)
    return Plan(tuple(runs), blocked)


def _first_run(recipe: Recipe, profile: str, seed: int, device: str, changes: Changes) -> Run:
    """Return the run of a recipe with one seed, and with the runs that it starts from."""
    settings, protocol, streams, deviations = _resolve(recipe, profile, changes)
    parent = None
    if recipe.start and settings.starts_from:
        parent_changes = changes_of_start(recipe.start, profile, changes)
        shared = changed_settings(recipe.start, profile, parent_changes)
        check_shared_stages(recipe.key, settings, recipe.start.key, shared, profile)
        if shared.stages:
            parent = _first_run(recipe.start, profile, seed, device, parent_changes)
            deviations = (*deviations, *start_deviations(recipe, settings, streams, parent))
    run = Run(recipe, profile, seed, settings, protocol, streams, device, deviations, changes, parent=parent)
    if changes.watch_test and not run.own_stages:
        raise _nothing_to_watch(run)
    return run


def _nothing_to_watch(run: Run) -> FgbenchError:
    """Return the error of `--watch-test` for a run that trains no stage itself."""
    key, profile = run.recipe.key, run.profile
    if run.parent is None:
        return FgbenchError(f"{key} trains no network under {profile}, so it has no epochs", "leave out --watch-test")
    trained = run.parent
    while trained.parent and not trained.own_stages:
        trained = trained.parent
    data = shlex.quote(run.settings.data if run.changes.data else run.recipe.settings.data)
    return FgbenchError(
        f"{key} starts from the network of {trained.recipe.key} and trains no stage itself, so it has no epochs",
        f"fgbench run {trained.recipe.name} --data {data} --profile {profile} --watch-test, or leave out --watch-test",
    )


def _with_seed(run: Run, seed: int) -> Run:
    """Return a run with another seed; the run that it starts from has the same."""
    return replace(run, seed=seed, parent=run.parent and _with_seed(run.parent, seed))


def obstacles(recipes: Sequence[Recipe]) -> dict[str, Obstacle]:
    """Return the recipes whose `paper` profile cannot run on this machine: recipe key -> missing data or weights."""
    missing = {}
    for recipe in recipes:
        try:
            find(recipe.settings.data).find()
            _streams(recipe.settings)
            if recipe.start:
                _streams(recipe.start.settings)
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
    if changes.watch_test and settings.classifier not in {"svm", "softmax"}:
        raise FgbenchError(
            f"{recipe.key} trains no classifier, so its test accuracy cannot be recorded", "leave out --watch-test"
        )
    if changes.compile and not trains_networks(recipe.method, settings):
        raise FgbenchError(f"{recipe.key} trains no network under {profile}", "leave out --compile")
    check_fixed_blocks(f"{recipe.key} under {profile}", recipe.method, settings)
    if changes.watch_every > 1 and not changes.watch_test:
        raise FgbenchError("--watch-every says when the test accuracy is recorded", "add --watch-test")
    dataset = find(settings.data)
    whole = _whole(settings)
    index = reduced(whole, changes)
    with with_next_step(settings.data):
        check_annotations(index, recipe, settings, dataset.title, dataset.tables)
    streams = _streams(settings)
    protocol = _protocol(index, recipe, settings, changes)
    deviations = (
        *setting_deviations(recipe, settings),
        *data_deviations(dataset, whole, index, recipe, protocol.control),
        *_limit_deviations(index, changes),
        *_weight_deviations(settings, streams),
        *(code_deviations(recipe) if profile != "quick" else ()),
        *(_COMPILED if changes.compile else ()),
    )
    return settings, protocol, streams, deviations


def reduced(index: Index | ReidIndex, changes: Changes) -> Index | ReidIndex:
    """Return the data set with only the classes and images that the user selected.

    Raises:
        FgbenchError: the data set has identities, not classes, or the first classes have no test image.
    """
    if changes.classes is None and changes.limit is None:
        return index
    if isinstance(index, ReidIndex):
        option = "--classes" if changes.classes is not None else "--limit"
        raise FgbenchError(f"{index.name} has identities to search for, not classes", f"leave out {option}")
    chosen = index if changes.classes is None else _first_classes(index, changes.classes)
    return chosen if changes.limit is None else chosen.limited(changes.limit)


def _first_classes(index: Index, count: int) -> Index:
    first = index.first_classes(count)
    if first.train.all():
        raise FgbenchError(f"the first {count} classes of {index.name} have no test image", "choose more --classes")
    return first


def _protocol(index: Index | ReidIndex, recipe: Recipe, settings: Settings, changes: Changes) -> Protocol:
    """Return the protocol of a run. That of images of the user does not contain the path of their folder."""
    protocol = protocol_of(index, recipe, settings, shuffle=changes.shuffle_labels)
    return replace(protocol, data=hashed_name(protocol.data))


def known_index(settings: Settings, changes: Changes) -> Index | ReidIndex:
    """Return the data set of settings with the classes that the user selected, as it was read first in this process.

    Images of the user are listed again, because the user may change them between two plans of one process.
    """
    return reduced(_whole(settings), changes)


def _whole(settings: Settings) -> Index | ReidIndex:
    dataset = find(settings.data)
    with with_next_step(settings.data):
        return dataset.index() if isinstance(dataset, OwnImages) else _index(settings.data, dataset.find())


def planned_index(run: Run) -> Index | ReidIndex:
    """Return the data set of a run.

    Raises:
        FgbenchError: the data set has changed since the run was planned.
    """
    with with_next_step(run.settings.data):
        index = reduced(find(run.settings.data).index(), run.changes)
    if _protocol(index, run.recipe, run.settings, run.changes) != run.protocol:
        raise FgbenchError(
            f"{run.settings.data} has changed since this run was planned",
            f"fgbench data check {shlex.quote(run.settings.data)}",
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
    if recipe.start and (unseen := [need for need in recipe.start.train if need not in recipe.train]):
        raise FgbenchError(
            f"{recipe.key}: {recipe.start.key}, from which it starts, is trained with {unseen[0]}, which the recipe "
            "does not allow",
            f'add "{unseen[0]}" to its train',
        )
    for stage_name, stage in settings.stages.items():
        groups = (*kind.HEAD, *kind.TRUNK)
        if late := [drop for drop in stage.lr_drops if drop > stage.epochs]:
            raise FgbenchError(
                f"{recipe.key}: stage {stage_name!r} ends before its lr_drop in epoch {late[0]}",
                f"set stages.{stage_name}.lr_drops to epochs up to {stage.epochs}",
            )
        if stage.flip_once and (stage.augment or set(stage.train) != {"classifier"} or "parts" in recipe.train):
            raise FgbenchError(
                f"{recipe.key}: stage {stage_name!r}: flip_once is for a stage without augment that trains the "
                "classifier alone, and for recipes without parts",
                f"set stages.{stage_name}.flip_once to false",
            )
        for key, names, known in (
            ("lr_scales", tuple(stage.lr_scales), tuple(group for group in groups if group != "classifier")),
            ("train", stage.train, groups),
            ("losses", stage.losses, kind.LOSSES),
        ):
            if unknown := [name for name in names if name not in known]:
                raise FgbenchError(
                    f"{recipe.key}: stage {stage_name!r}: {key} has no {unknown[0]!r}; {nearest(unknown[0], known)}",
                    f"correct {key} of this stage in the recipe, or with --set",
                )


def _streams(settings: Settings) -> tuple[StreamWeights, ...]:
    return tuple(resolve_stream(stream, settings.weights) for stream in settings.backbones)


@lru_cache(maxsize=8)
def _index(name: str, folder: Path) -> Index | ReidIndex:
    """Return a data set. It is read once in a process, and every run of a plan shares it."""
    return find(name).read(folder)


def _limit_deviations(index: Index | ReidIndex, changes: Changes) -> list[Deviation]:
    """Return a deviation if only some of the images are used."""
    if changes.limit is None:
        return []
    used = f"{index.counts['train']} training and {index.counts['test']} test images"
    return [Deviation(field="data.limit", recipe="all images", run=used, origin="data", changes_experiment=True)]


def _weight_deviations(settings: Settings, streams: Sequence[StreamWeights]) -> list[Deviation]:
    """Return a deviation for each stream whose weights are not those that the recipe names first, or not verified."""
    deviations = {}
    for number, stream in enumerate(streams):
        if not stream.official:
            first = next((name for name in settings.weights if name.startswith(f"{stream.network}.")), stream.name)
            unverified = f", not verified: {stream.sha256[:16]} is not a published hash" if first == stream.name else ""
            deviations[stream.stream] = Deviation(
                field=f"weights.{number}",
                recipe=first if first != stream.name else f"the published weights of {stream.network}",
                run=f"{stream.name} for {stream.stream}{unverified}",
                origin="ours",
                changes_experiment=not stream.original,
            )
    return list(deviations.values())
