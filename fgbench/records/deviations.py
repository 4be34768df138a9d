"""Deviations of a run from its recipe.

The settings of both are compared when the run is planned, and again when it is judged.
"""

from fgbench.datasets import find
from fgbench.papers.recipes import Recipe, flatten
from fgbench.papers.settings import Settings
from fgbench.records.record import Deviation, Record
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_value

ROUNDING = {"precision"}
"""Settings that change only the rounding of numbers."""


def setting_deviations(recipe: Recipe, settings: Settings) -> list[Deviation]:
    """Return the fields in which settings differ from the settings of their recipe."""
    planned, actual = (flatten(s.model_dump(mode="json")) for s in (recipe.settings, settings))
    for fields in (planned, actual):
        fields.pop("data")
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


def unlisted(record: Record, recipe: Recipe) -> list[Deviation]:
    """Return deviations that change the experiment and that the record does not list.

    They exist if the recipe was changed after the run, if the file was edited, or if planning missed a deviation. The
    record is then not evidence for the recipe. Settings, data set, annotations, control and weights are compared.
    """
    listed = {deviation.field for deviation in record.deviations}
    try:
        settings = Settings.model_validate(record.settings)
    except (ValueError, FgbenchError):
        return [_deviation("settings", "as the recipe says", "not settings of this version of fgbench")]
    missing = [d for d in setting_deviations(recipe, settings) if d.changes_experiment and d.field not in listed]
    same_data = record.data == recipe.settings.data
    if not same_data and "data" not in listed:
        missing.append(_deviation("data", recipe.settings.data, record.data))
    control = record.protocol.get("control", "none")
    if control != "none" and "control" not in listed:
        missing.append(_deviation("control", "none", control))
    if same_data and not any(field.startswith("data.") for field in listed - {"data.images"}):
        official = find(record.data).official  # all hashes of the data set, or none
        if official and record.protocol.get("annotations") != hash_value(official):
            missing.append(_deviation("data.annotations", "the official ones", "others"))
    if not any(field.startswith("weights.") for field in listed):
        missing += [
            _deviation(f"weights of {w.stream}", "the file named first", w.name)
            for w in record.weights
            if not w.official
        ]
    return missing


def _deviation(field: str, recipe: object, run: object) -> Deviation:
    return Deviation(field=field, recipe=recipe, run=run, origin="ours", changes_experiment=True)
