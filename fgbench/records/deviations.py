"""Deviations of a run from its recipe.

The settings of both are compared when the run is planned, and again when it is judged.
"""

from fgbench.papers.recipes import Recipe, flatten
from fgbench.papers.settings import Settings
from fgbench.records.record import Deviation

ROUNDING = {
    "precision": "frozen B-CNN [D,D] classified the 515 test images of the first 20 classes of CUB-200-2011 the same "
    "in both precisions, 473 of them right"
}
"""Settings that change only the rounding of numbers, each with its measured effect."""


def measured_effect(deviation: Deviation) -> str:
    """Return the measured effect of a deviation that changes only the rounding; empty if none is known."""
    return ROUNDING.get(deviation.field, "")


def setting_deviations(recipe: Recipe, settings: Settings) -> list[Deviation]:
    """Return the fields in which settings differ from the settings of their recipe."""
    planned, actual = (flatten(s.model_dump(mode="json")) for s in (recipe.settings, settings))
    for fields in (planned, actual):
        fields.pop("data")
        fields.pop("starts_from")  # shared stages are equal: only the time differs
    if not actual.get("stages") and recipe.settings.stages and not settings.stages:
        planned = {key: value for key, value in planned.items() if not key.startswith("stages.")}
        planned["stages"], actual["stages"] = ", ".join(recipe.settings.stages), "none: the network is not fine-tuned"
    return [
        Deviation(
            field=name,
            recipe=planned.get(name),
            run=actual.get(name),
            origin=recipe.origins.get(name, "ours"),
            changes_experiment=name not in ROUNDING,
        )
        for name in sorted(set(planned) | set(actual))
        if planned.get(name) != actual.get(name)
    ]


def code_deviations(recipe: Recipe) -> list[Deviation]:
    """Return the steps that fgbench computes in another way than the official code of a recipe, as remarks."""
    return [
        Deviation(field=f"differs.{name}", recipe=step.code, run=step.here, origin="code", changes_experiment=False)
        for name, step in recipe.differs.items()
    ]
