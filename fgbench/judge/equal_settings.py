"""Runs that answer for another recipe, because their settings are equal to its own.

A run under `frozen` and a recipe without fine-tuning may be the same experiment under two names. Compared are settings,
data set, method and annotations, not names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fgbench.judge.recomputed import parsed_settings
from fgbench.papers.recipes import Recipe
from fgbench.papers.settings import Settings
from fgbench.records.deviations import ROUNDING, setting_deviations
from fgbench.records.record import Deviation, Record

RECIPE = "recipe"
"""Field of the remark that names the recipe under which a run was made."""
WITHOUT_EFFECT = {"train_pipeline", *ROUNDING}
"""Settings that do not change the experiment of a run that trains nothing."""


@dataclass(frozen=True, slots=True)
class _Experiment:
    """What two recipes or runs have in common if they may be the same experiment."""

    data: str
    method: str
    train_sees: tuple[str, ...]
    test_sees: tuple[str, ...]


def with_equal_runs(records: Iterable[Record], recipes: Mapping[str, Recipe]) -> list[Record]:
    """Return records, and after each one a copy for each other recipe with equal settings.

    Only runs that train nothing have such copies. A copy has the name and the settings of the other recipe, and a
    remark that says under which name the run was made.

    Args:
        records: records of any recipes.
        recipes: all recipes, by key.
    """
    untrained: dict[_Experiment, list[Recipe]] = {}
    for recipe in recipes.values():
        if not recipe.settings.stages:
            experiment = _Experiment(recipe.settings.data, recipe.method, recipe.train, recipe.test)
            untrained.setdefault(experiment, []).append(recipe)
    equal: dict[tuple[str, ...], list[Recipe]] = {}  # thousands of runs have few different settings
    result = []
    for record in records:
        result.append(record)
        if record.external is not None or record.recipe not in recipes:
            continue
        key = record.recipe, record.settings_text, record.data, record.method, record.protocol_hash
        if key not in equal:
            sees = (tuple(record.protocol[name]) for name in ("train_sees", "test_sees"))
            experiment = _Experiment(record.data, record.method, *sees)
            equal[key] = _equal_recipes(record, untrained.get(experiment, []))
        result += [_under_name(record, recipe, recipes[record.recipe].name) for recipe in equal[key]]
    return result


def _equal_recipes(record: Record, candidates: Iterable[Recipe]) -> list[Recipe]:
    """Return the other recipes whose settings are those of a run without training."""
    settings = parsed_settings(record.settings_text)
    if settings is None or settings.stages:
        return []
    return [
        recipe
        for recipe in candidates
        if recipe.key != record.recipe
        and {deviation.field for deviation in setting_deviations(recipe, settings)} <= WITHOUT_EFFECT
    ]


def _under_name(record: Record, recipe: Recipe, own_name: str) -> Record:
    """Return a copy of a record as a run of another recipe under `paper`.

    Args:
        record: the record.
        recipe: the other recipe, with equal settings.
        own_name: name of the recipe of the record.
    """
    remark = Deviation(
        field=RECIPE,
        recipe=recipe.name,
        run=f"{own_name} under {record.profile}, whose settings are equal",
        origin="ours",
        changes_experiment=False,
    )
    rounding = {name: record.settings[name] for name in ROUNDING.keys() & record.settings.keys()}
    return record.model_copy(
        update={
            "recipe": recipe.key,
            "title": recipe.title,
            "profile": "paper",
            "settings": recipe.settings.model_dump(mode="json") | rounding,
            "deviations": [*(d for d in record.deviations if not _is_of_settings(d)), remark],
        }
    )


def _is_of_settings(deviation: Deviation) -> bool:
    """Return True for the deviation of a setting that changes the experiment. `weights.0` is that of a weight file."""
    field, _, part = deviation.field.partition(".")
    return field in Settings.model_fields.keys() - {"data", *ROUNDING} and not (field == "weights" and part)
