"""What is to be run: recipes x profile x seeds, resolved to the last field, each with the hash that is its name."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fgbench.backbones import split_stream
from fgbench.backbones.networks import VECTOR_TAPS
from fgbench.datasets import Dataset, ReidDataset, find
from fgbench.datasets.index import Index
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.reid import ReidIndex
from fgbench.methods import methods, options_of
from fgbench.papers.recipes import Recipe, Settings
from fgbench.records.deviations import setting_deviations
from fgbench.records.record import Deviation
from fgbench.runs.experiment import protocol_of
from fgbench.runs.protocol import Protocol
from fgbench.runs.streams import StreamWeights, resolve_stream
from fgbench.runs.training.distributed import processes
from fgbench.util.errors import FgbenchError, MissingError, Obstacle, nearest
from fgbench.util.hashing import hash_source, hash_value

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "pillow", "scipy")
"""Packages whose version can change a value."""


PRECISIONS = ("32-true", "bf16-mixed")


@dataclass(frozen=True, slots=True)
class Changes:
    """What the user asked to be different from the profile."""

    classes: int | None = None
    """Use only the first classes of the data set."""
    size: int | None = None
    """Input size in pixels."""
    shuffle_labels: bool = False
    """The control experiment: training labels permuted, accuracy must fall to chance."""
    backbone: str | None = None
    """A network that replaces every convolutional stream, as `network:tap`."""
    precision: str | None = None
    """Precision of the training."""
    watch_test: bool = False
    """Record what the network says of the test images after each epoch; nothing is chosen by it."""


@dataclass(frozen=True)
class Run:
    """One run, resolved."""

    recipe: Recipe
    profile: str
    seed: int
    settings: Settings
    protocol: Protocol
    streams: tuple[StreamWeights, ...]
    device: str
    """`cpu` or `cuda`; values may differ between them."""
    threads: int
    """Threads of a run on the CPU; sums may be rounded otherwise with more."""
    deviations: tuple[Deviation, ...] = field(repr=False)
    changes: Changes = Changes()

    @cached_property
    def id(self) -> str:
        """Hash of everything that can change the run's values."""
        return hash_value(
            {
                "recipe": self.recipe.key,
                "method": self.recipe.method,
                "profile": self.profile,
                "seed": self.seed,
                "settings": self.settings.model_dump(mode="json"),
                "protocol": self.protocol.hash,
                "streams": [[stream.stream, stream.sha256] for stream in self.streams],
                "device": self.device,
                "threads": self.threads,
                "processes": processes(),
                "source": source_of(self.recipe.method),
                "libraries": _libraries(),
                **({"watch_test": True} if self.changes.watch_test else {}),
            }
        )

    @cached_property
    def seeded(self) -> bool:
        """Whether another seed may give other values."""
        return is_seeded(self.recipe.method, self.settings, shuffled=self.changes.shuffle_labels)

    @property
    def what(self) -> str:
        """The recipe's title, with the streams that stand in for its own."""
        if not self.changes.backbone:
            return self.recipe.title
        streams = dict.fromkeys(stream.partition("#")[0] for stream in self.settings.backbones)
        return f"{self.recipe.title} on {', '.join(streams)}" if streams else self.recipe.title

    @property
    def title(self) -> str:
        """What is run, and the seed, in a few words."""
        return f"{self.what}, {self.profile}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Runs to do, and recipes that cannot run here."""

    runs: tuple[Run, ...]
    blocked: dict[str, Obstacle]
    """Recipe key -> what is missing."""


def plan(
    recipes: Sequence[Recipe],
    profile: str,
    seeds: Sequence[int],
    *,
    device: str = "cpu",
    threads: int = 1,
    changes: Changes = Changes(),
) -> Plan:
    """Resolve recipes under a profile; what lacks data or weights is blocked, with the command that would get it.

    Raises:
        FgbenchError: a recipe names an unknown method, option, step or data set, or the changes do not fit.
    """
    runs: list[Run] = []
    blocked: dict[str, Obstacle] = {}
    for recipe in recipes:
        try:
            settings, protocol, streams, deviations = _resolve(recipe, profile, changes)
            first = Run(recipe, profile, seeds[0], settings, protocol, streams, device, threads, deviations, changes)
            runs += [replace(first, seed=seed) for seed in (seeds if first.seeded else seeds[:1])]
        except MissingError as error:
            blocked[recipe.key] = Obstacle(f"{error.what}: {error.args[0]}", error.hint)
    return Plan(tuple(runs), blocked)


def is_seeded(method: str, settings: Settings, *, shuffled: bool) -> bool:
    """Whether the values of a run may differ with its seed: something is trained with it, drawn, or shuffled."""
    if settings.stages or settings.classifier != "svm" or shuffled:
        return True
    return methods[method].draws(options_of(method, settings.options))


def obstacles(recipes: Sequence[Recipe]) -> dict[str, Obstacle]:
    """Why the `paper` profile of each recipe cannot run here, for those that cannot."""
    found = {}
    for recipe in recipes:
        try:
            find(recipe.settings.data).find()
            _streams(recipe.settings)
        except MissingError as error:
            found[recipe.key] = Obstacle(f"{error.what}: {error.args[0]}", error.hint)
    return found


def _resolve(
    recipe: Recipe, profile: str, changes: Changes
) -> tuple[Settings, Protocol, tuple[StreamWeights, ...], tuple[Deviation, ...]]:
    settings = _changed(recipe.resolve(profile), changes)
    options_of(recipe.method, settings.options)
    _check(recipe, settings)
    if changes.watch_test and not (settings.stages and settings.classifier in {"svm", "softmax"}):
        raise FgbenchError(f"{recipe.key} trains no classes of test images to watch", "leave out --watch-test")
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
    """The data set without the classes that the user left out."""
    if not changes.classes:
        return index
    if isinstance(index, ReidIndex):
        raise FgbenchError(f"{index.name} has identities that are searched for, not classes to choose from")
    return index.first_classes(changes.classes)


def _check(recipe: Recipe, settings: Settings) -> None:
    """What a method needs and a stage names must be there, before hours are spent."""
    kind = methods[recipe.method]
    if lacking := [need for need in kind.NEEDS if need not in recipe.train]:
        raise FgbenchError(
            f"{recipe.key}: {recipe.method} is trained with {lacking[0]}, which the recipe withholds",
            f'add "{lacking[0]}" to its train',
        )
    for name, stage in settings.stages.items():
        groups = (*kind.HEAD, *kind.TRUNK)
        if late := [drop for drop in stage.lr_drops if drop > stage.epochs]:
            raise FgbenchError(f"{recipe.key}: stage {name!r} ends before its lr_drop in epoch {late[0]}")
        for key, said, known in (
            ("lr_scales", tuple(stage.lr_scales), tuple(group for group in groups if group != "classifier")),
            ("train", stage.train, groups),
            ("losses", stage.losses, kind.LOSSES),
        ):
            if unknown := [each for each in said if each not in known]:
                raise FgbenchError(
                    f"{recipe.key}: stage {name!r}: {key} has no {unknown[0]!r}; {nearest(unknown[0], known)}"
                )


def _changed(settings: Settings, changes: Changes) -> Settings:
    update: dict[str, Any] = {}
    if changes.size:
        for name in ("train_pipeline", "test_pipeline"):
            update[name] = str(Pipeline.parse(getattr(settings, name)).resized(changes.size))
    if changes.backbone and settings.backbones:
        update["backbones"] = tuple(_replaced(stream, changes.backbone) for stream in settings.backbones)
        if not any(weights.startswith(f"{split_stream(changes.backbone)[0]}.") for weights in settings.weights):
            update["weights"] = ()  # the recipe names files of other networks alone: take any
    if changes.precision:
        if changes.precision not in PRECISIONS:
            raise FgbenchError(f"no precision {changes.precision!r}; {nearest(changes.precision, PRECISIONS)}")
        update["precision"] = changes.precision
    return settings.model_copy(update=update)


def _replaced(stream: str, other: str) -> str:
    """Another network for a stream: at the tap named for a map, at its `pool` for a vector; the label stays.

    Raises:
        FgbenchError: the other network or tap is unknown, has no such tap, or is a vector where a map is needed.
    """
    network, tap = split_stream(other)
    if split_stream(stream)[1] in VECTOR_TAPS:
        tap = tap if tap in VECTOR_TAPS else "pool"
    elif tap in VECTOR_TAPS:
        raise FgbenchError(f"{stream} gives a map, {other} a vector", f"name a map of {network}")
    plain = f"{network}:{tap}"
    split_stream(plain)
    return plain + "".join(stream.partition("#")[1:])


def _streams(settings: Settings) -> tuple[StreamWeights, ...]:
    return tuple(resolve_stream(stream, settings.weights) for stream in settings.backbones)


@lru_cache(maxsize=8)
def _index(name: str, folder: Path) -> Index | ReidIndex:
    """Read once a process: every run of a plan shares it."""
    return find(name).load(folder, name)


def _data_deviations(
    dataset: Dataset | ReidDataset, index: Index | ReidIndex, recipe: Recipe, control: str
) -> list[Deviation]:
    found = []

    def add(name: str, official: object, here: object, changes_experiment: bool) -> None:
        found.append(
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
            if odd := index.not_jpeg():
                add("data.images", "the official JPEG files", f"{odd} of {len(index)} recompressed, not JPEG", False)
    if control != "none":
        add("control", "none", control, True)
    return found


def _weight_deviations(settings: Settings, streams: Sequence[StreamWeights]) -> list[Deviation]:
    found = {}
    for number, stream in enumerate(streams):
        if not stream.official:
            name = f"weights.{number}"
            found[stream.stream] = Deviation(
                field=name,
                recipe=next(name for name in settings.weights if name.startswith(f"{stream.network}.")),
                run=f"{stream.name} for {stream.stream}",
                origin="ours",
                changes_experiment=not stream.original,
            )
    return list(found.values())


@lru_cache
def source_of(method: str) -> str:
    """A hash of the source that values of a method come from: fgbench, and the package that the method is from."""
    return hash_source(methods[method].__module__)


@lru_cache(maxsize=1)
def _libraries() -> dict[str, str]:
    return {name: version(name).split("+")[0] for name in LIBRARIES}
