"""How a paper says to get its numbers: recipes as data, with the origin of every value.

`reproductions/<paper>/<data>.toml` holds one table a recipe, and in it one table an origin: what the `paper` prints,
what the official `code` does where the paper is silent or vague, and what is `ours`. Together they must give every
field of `Settings` once. `[defaults]` has the same three tables, for what all recipes of the file share; `[profiles]`
says what a smaller profile changes. A file that is `like` another may have `[changes]`, which stand over all recipes.
"""

import tomllib
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fgbench.datasets.pipeline import Pipeline
from fgbench.metrics.search_rules import Ranking
from fgbench.papers.printed import reproductions_root
from fgbench.util.errors import FgbenchError, MissingError, nearest
from fgbench.util.validation import explain

ORIGINS = ("paper", "code", "ours")
PROFILES = ("quick", "frozen", "paper")


class Model(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Stage(Model):
    """One stage of training: what is trained, at what rate, for how long."""

    step: int
    """Order among the stages, from 1."""
    train: tuple[str, ...] = Field(min_length=1)
    """Groups of parameters that are trained, of those the method has; the others are fixed."""
    losses: tuple[str, ...] = ()
    """Losses whose sum is minimised, of those the method has; empty for all of them."""
    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    lr: float = Field(gt=0)
    """Learning rate of the backbone, and of the classifier times `classifier_lr_scale`."""
    classifier_lr_scale: float = Field(default=1.0, gt=0)
    momentum: float = Field(ge=0, lt=1)
    """Of SGD; the first moment's decay for Adam."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    weight_decay: float = Field(ge=0)
    """On the backbone, and on the classifier times `classifier_decay_scale`."""
    classifier_decay_scale: float = Field(default=1.0, ge=0)
    lr_scales: dict[str, float] = {}
    """Factors on the learning rate of other groups than the classifier."""
    lr_drops: tuple[int, ...] = ()
    """Epochs (from 1) before which the rate is divided by ten."""
    augment: bool = True
    """Apply the random steps of `train_pipeline`."""


class Svm(Model):
    """The one-vs-all linear SVM trained on descriptors."""

    c: float = Field(gt=0)
    loss: Literal["hinge", "squared_hinge"] = "hinge"
    bias_multiplier: float = Field(default=1.0, gt=0)
    calibrate: bool = True
    """Shift and scale each class so that the median scores of its negatives and positives are 0 and 1."""
    tolerance: float = Field(default=1e-3, gt=0)
    """Duality gap at which to stop, relative to the primal objective."""


class Settings(Model):
    """Everything that a recipe fixes. A run is these fields resolved, and a deviation is a field that differs."""

    data: str
    """Data set."""
    backbones: tuple[str, ...]
    """Streams as `network:tap`, such as `vgg16:relu5_3`; two equal ones share their weights, and two that differ in a
    label, as `vgg16:relu5_3#head`, do not. Empty for SIFT."""
    weights: tuple[str, ...] = ()
    """Weight files by name, the paper's own first; any of them that fits a stream will do, the rest are deviations."""
    train_pipeline: str
    """Preprocessing and augmentation of training images."""
    test_pipeline: str
    """Preprocessing of test images, and of training images when descriptors are taken."""
    mirror: bool
    """Train the SVM on the descriptors of image and mirror image, and average their scores in test."""
    options: dict[str, bool | int | float | str] = {}
    """Options of the method."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Numbers of a training's matrix products and convolutions; descriptors and scores are always of float32."""
    stages: dict[str, Stage] = {}
    """Stages of training by name."""
    classifier: Literal["svm", "softmax", "none", "ranking"]
    """What the accuracy is measured of; `none` for a run that only finds keypoints, `ranking` for one that searches a
    gallery by the distances between descriptors."""
    svm: Svm | None = None
    """Settings of the SVM, when it is the classifier."""
    ranking: Ranking | None = None
    """How a gallery is searched, when that is what is measured."""

    @field_validator("train_pipeline", "test_pipeline")
    @classmethod
    def _canonical(cls, text: str) -> str:
        return str(Pipeline.parse(text))

    @field_validator("test_pipeline")
    @classmethod
    def _fixed(cls, text: str) -> str:
        if steps := Pipeline.parse(text).random:
            raise FgbenchError(f"test_pipeline has the random step {steps[0]}", "leave it to train_pipeline")
        return text

    @model_validator(mode="after")
    def _searches(self) -> Self:
        if (self.classifier == "ranking") != (self.ranking is not None):
            raise ValueError("classifier = 'ranking' and settings of the ranking go together")
        return self

    @property
    def ordered_stages(self) -> list[tuple[str, Stage]]:
        """Stages in the order of their steps."""
        return sorted(self.stages.items(), key=lambda item: item[1].step)


class Profile(Model):
    """What a profile changes in a recipe."""

    set: dict[str, Any] = {}
    """Fields of `Settings` to replace; tables are merged, except `stages`, which is replaced whole."""
    streams: dict[str, str] = {}
    """Streams to replace by others."""


class Origins(Model):
    """One recipe as it stands in its file."""

    title: str = ""
    method: str = ""
    like: str = ""
    """Another recipe of the file, whose method and values hold where this one is silent."""
    variant: bool = False
    """Another reading than the one that answers a printed row: run when asked for by name."""
    train: tuple[Literal["boxes", "parts"], ...] = ()
    """Annotations beyond class labels used in training."""
    test: tuple[Literal["boxes", "parts"], ...] = ()
    """Annotations used in test."""
    paper: dict[str, Any] = {}
    code: dict[str, Any] = {}
    ours: dict[str, Any] = {}
    profiles: dict[Literal["quick", "frozen"], Profile] = {}


class RecipeFile(Model):
    """`reproductions/<paper>/<data>.toml`."""

    data: str
    like: str = ""
    """Another file of the folder, without `.toml`, whose recipes hold for this data set too."""
    changes: Origins = Origins()
    """What stands over all recipes, for a data set that differs from that of the file it is like."""
    defaults: Origins = Origins()
    recipes: dict[str, Origins] = {}
    profiles: dict[Literal["quick", "frozen"], Profile] = {}


class Recipe(Model):
    """A recipe with its defaults filled in."""

    name: str
    """`<paper>/<recipe>`; with the data set it is unique."""
    title: str
    method: str
    variant: bool
    """True when it is run only by name."""
    train: tuple[str, ...]
    test: tuple[str, ...]
    settings: Settings
    """The recipe in full, which is the profile `paper`."""
    origins: dict[str, str]
    """Origin of each value: dotted field -> `paper`, `code` or `ours`."""
    profiles: dict[str, tuple[Profile, ...]]
    """Changes of the smaller profiles, the file's before the recipe's."""

    @property
    def key(self) -> str:
        """`<paper>/<recipe>@<data>`."""
        return f"{self.name}@{self.settings.data}"

    @cached_property
    def paper(self) -> str:
        """The paper the recipe belongs to."""
        return self.name.split("/")[0]

    def resolve(self, profile: str) -> Settings:
        """The settings under a profile.

        Raises:
            FgbenchError: an unknown profile, or the profile's changes do not fit.
            MissingError: the recipe has no such profile.
        """
        if profile not in PROFILES:
            raise FgbenchError(f"no profile named {profile!r}; {nearest(profile, PROFILES)}")
        if profile != "paper" and not self.profiles.get(profile):
            raise MissingError(
                "recipe", f"{self.key} does not say what the profile {profile} changes", "take quick or paper"
            )
        values = self.settings.model_dump()
        for change in self.profiles.get(profile, ()):
            values["backbones"] = tuple(_exchanged(stream, change.streams) for stream in values["backbones"])
            for field, value in change.set.items():
                merges = isinstance(value, dict) and isinstance(values.get(field), dict) and field != "stages"
                values[field] = {**values[field], **value} if merges else value
        return _settings(values, f"profile {profile} of {self.key}")


def _exchanged(stream: str, others: dict[str, str]) -> str:
    """The stream that stands for another, which keeps its label."""
    plain, mark, label = stream.partition("#")
    return others.get(stream) or others.get(plain, plain) + mark + label


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one table with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def load_recipes(root: Path | None = None) -> dict[str, Recipe]:
    """Every recipe by key `<paper>/<recipe>@<data>`.

    Raises:
        FgbenchError: a file does not parse or a recipe is incomplete; names the file, the field, the nearest field.
    """
    recipes: dict[str, Recipe] = {}
    for path in sorted((root or reproductions_root()).glob("*/*.toml")):
        if path.name != "paper.toml":
            recipes |= {recipe.key: recipe for recipe in _load(path)}
    return recipes


def _load(path: Path) -> list[Recipe]:
    file = _read(path)
    if file.like:
        others = {other.stem for other in path.parent.glob("*.toml")} - {path.stem, "paper"}
        if file.like not in others:
            raise FgbenchError(f"{path}: it cannot be like {file.like!r}; {nearest(file.like, others)}")
        model = _read(path.with_name(f"{file.like}.toml"))
        if model.like or file.model_fields_set & {"defaults", "profiles"}:
            raise FgbenchError(
                f"{path}: a file that is like another has recipes of its own, but the other's defaults and profiles",
                "set what differs in the recipes, and be like the file that has them all",
            )
        if odd := sorted(file.changes.model_fields_set - set(ORIGINS)):
            raise FgbenchError(f"{path}: [changes] holds values by their origin, and no {odd[0]!r}")
        file = model.model_copy(
            update={"data": file.data, "changes": file.changes, "recipes": {**model.recipes, **file.recipes}}
        )
    return [_recipe(path, name, file) for name in file.recipes]


def _read(path: Path) -> RecipeFile:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FgbenchError(f"{path}: {error}") from error
    try:
        return RecipeFile.model_validate(content)
    except ValidationError as error:
        raise FgbenchError(f"{path}: {explain(error, RecipeFile)}") from error


def _recipe(path: Path, name: str, file: RecipeFile) -> Recipe:
    where = f"{path}: recipe {name!r}"
    tables = _ancestry(where, name, file)
    values: dict[str, Any] = {"data": file.data}
    origins: dict[str, str] = {}
    for table in (file.defaults, *tables, file.changes):
        seen: dict[str, str] = {}
        for origin in ORIGINS:
            flat = flatten(getattr(table, origin))
            if twice := sorted(set(flat) & set(seen)):
                raise FgbenchError(f"{where}: {twice[0]!r} is given both as {seen[twice[0]]}'s and as {origin}'s")
            seen |= dict.fromkeys(flat, origin)
            for key, value in flat.items():
                _place(values, key, value)
        origins |= seen
    own = tables[-1]
    return Recipe(
        name=f"{path.parent.name}/{name}",
        title=own.title or name,
        method=next((table.method for table in reversed(tables) if table.method), ""),
        variant=own.variant,
        train=own.train,
        test=own.test,
        settings=_settings(values, where),
        origins=origins,
        profiles={
            profile: tuple(of[profile] for of in (file.profiles, *(t.profiles for t in tables)) if profile in of)
            for profile in ("quick", "frozen")
        },
    )


def _ancestry(where: str, name: str, file: RecipeFile) -> list[Origins]:
    """The recipe's own table, after those it is like."""
    names = [name]
    while parent := file.recipes[names[-1]].like:
        if parent in names or parent not in file.recipes:
            others = [other for other in file.recipes if other not in names]
            raise FgbenchError(f"{where}: it cannot be like {parent!r}; {nearest(parent, others)}")
        names.append(parent)
    return [file.recipes[each] for each in reversed(names)]


def _place(values: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = value


def _settings(values: dict[str, Any], where: str) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise FgbenchError(f"{where}: {explain(error, Settings)}") from error
    except FgbenchError as error:
        raise FgbenchError(f"{where}: {error}") from error
