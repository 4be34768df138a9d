"""In what a run differs from its recipe: found by comparing the two, when it is planned and again when it is judged."""

from fgbench.datasets import find
from fgbench.papers.recipes import Recipe, Settings, flatten
from fgbench.records.record import Deviation, Record
from fgbench.util.errors import FgbenchError
from fgbench.util.hashing import hash_value

ROUNDING = {"precision"}
"""Settings that change how numbers are rounded, not what is computed."""


def setting_deviations(recipe: Recipe, settings: Settings) -> list[Deviation]:
    """Fields in which settings differ from those of their recipe."""
    said, done = (flatten(s.model_dump(mode="json")) for s in (recipe.settings, settings))
    for flat in (said, done):
        flat.pop("data")
    if not done.get("stages") and recipe.settings.stages and not settings.stages:
        said = {key: value for key, value in said.items() if not key.startswith("stages.")}
        said["stages"], done["stages"] = ", ".join(recipe.settings.stages), "none: the network is not fine-tuned"
    return [
        Deviation(
            field=name,
            recipe=said.get(name),
            run=done.get(name),
            origin=recipe.origins.get(name, "ours"),
            changes_experiment=name not in ROUNDING,
        )
        for name in sorted(set(said) | set(done))
        if said.get(name) != done.get(name)
    ]


def unlisted(record: Record, recipe: Recipe) -> list[Deviation]:
    """What changes the experiment of a record and is not among the deviations that it lists.

    A recipe that was changed after the run, a file that was edited, or a deviation that planning overlooked: whichever
    it is, the record cannot speak for the recipe. Looked at are the settings, the data set with its annotations, the
    control and the weights.
    """
    listed = {deviation.field for deviation in record.deviations}
    try:
        settings = Settings.model_validate(record.settings)
    except (ValueError, FgbenchError):
        return [_found("settings", "as the recipe says", "not settings of this version of fgbench")]
    found = [d for d in setting_deviations(recipe, settings) if d.changes_experiment and d.field not in listed]
    own = record.data == recipe.settings.data
    if not own and "data" not in listed:
        found.append(_found("data", recipe.settings.data, record.data))
    control = record.protocol.get("control", "none")
    if control != "none" and "control" not in listed:
        found.append(_found("control", "none", control))
    if own and not any(field.startswith("data.") for field in listed - {"data.images"}):
        official = find(record.data).official  # all hashes of the data set, or none
        if official and record.protocol.get("annotations") != hash_value(official):
            found.append(_found("data.annotations", "the official ones", "others"))
    if not any(field.startswith("weights.") for field in listed):
        found += [
            _found(f"weights of {w.stream}", "the file named first", w.name) for w in record.weights if not w.official
        ]
    return found


def _found(field: str, recipe: object, run: object) -> Deviation:
    return Deviation(field=field, recipe=recipe, run=run, origin="ours", changes_experiment=True)
