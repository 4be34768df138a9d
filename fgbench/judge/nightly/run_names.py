"""Names of runs, with the settings in which they differ from their recipe."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from fgbench.datasets.pipeline import Pipeline
from fgbench.papers.recipes import Recipe, load_recipes
from fgbench.records.record import Record
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError

MISSING = "not given"
"""Value of a setting that a run does not have."""
NAMED = 4
"""Number of other settings that a name says."""
DATA = {"data.images": "recompressed files"}
"""Words for deviations of the data."""


def run_label(*seeds: Record) -> str:
    """Return a readable name of one run, or of several that differ only in their seed.

    The name says in which settings the run differs from its recipe under its profile, and in which the data differ from
    the official ones.
    """
    record = seeds[0]
    numbers = ", ".join(str(seed) for seed in sorted({other.seed for other in seeds}))
    data = "" if record.recipe.endswith(f"@{record.data}") else f" on {record.data_title}"
    words = [
        record.profile,
        *([record.external.name] if record.external else []),
        f"seed{'s' * (',' in numbers)} {numbers}",
        *_differences(record),
    ]
    return f"{record.recipe}{data} ({', '.join(words)})"


def differing_settings(a: Record, b: Record) -> dict[str, tuple[str, str]]:
    """Return the settings in which two runs differ, by dotted field, with both values."""
    differing = _differing(a.settings, b.settings)
    if a.protocol_hash != b.protocol_hash:
        differing["protocol"] = (a.protocol_hash, b.protocol_hash)
    return differing


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    before, after = dict(_flat(a)), dict(_flat(b))
    fields = dict.fromkeys((*before, *after))
    both = {field: (before.get(field, MISSING), after.get(field, MISSING)) for field in fields}
    return {field: values for field, values in both.items() if values[0] != values[1]}


def _flat(value: Any, path: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, str(value)


def _differences(record: Record) -> Iterator[str]:
    """Yield what is special about a run, in words."""
    if record.control:
        yield "shuffled labels"
    usual = _usual_settings(record.recipe, record.profile)
    changed = _differing(usual, record.settings) if usual is not None else {}
    if changed.pop("backbones", None):
        networks = dict.fromkeys(stream.partition("#")[0] for stream in record.settings.get("backbones", []))
        yield f"on {' and '.join(networks) or 'no network'}"
    pipelines = [_pipeline_words(*changed.pop(f"{images}_pipeline", ("", ""))) for images in ("test", "train")]
    if pipelines[0] == pipelines[1]:
        yield from pipelines[0]
    else:
        yield from (
            f"{images} images {word}"
            for images, words in zip(("test", "training"), pipelines, strict=True)
            for word in words
        )
    # A field that the record lacks is newer than the record, or belongs to a stage that is left out.
    others = [
        "not fine-tuned"
        if (field, value) == ("stages", "{}")
        else f"{field.replace('_', ' ').replace('.', ' ')} {value}"
        for field, (_, value) in changed.items()
        if value != MISSING and field not in {"data", "weights"}
    ]
    yield from others[:NAMED]
    if len(others) > NAMED:
        yield f"{counted(len(others) - NAMED, 'other setting')}"
    yield from dict.fromkeys(
        f"{deviation.run} classes"
        if deviation.field == "data.classes"
        else DATA.get(deviation.field, "other data files")
        for deviation in record.deviations
        if deviation.field.startswith("data.")
    )


def _pipeline_words(usual: str, actual: str) -> list[str]:
    """Return how a pipeline differs from the usual one; nothing for equal texts and for one that a run does not have.

    A record of another version may have steps that are not known here. Its pipeline is returned as it is.
    """
    if usual == actual or MISSING in (usual, actual):
        return []
    try:
        before, after = Pipeline.parse(usual), Pipeline.parse(actual)
    except FgbenchError:
        return [actual]
    words = [f"recompressed to quality {step.numbers[0]:g}" for step in after.steps if step.name == "recompress"]
    plain = [[str(step) for step in pipeline.steps if step.name != "recompress"] for pipeline in (before, after)]
    if plain[0] == plain[1]:
        return words or ["not recompressed"]
    resized = [str(step) for step in before.resized(after.output_size).steps if step.name != "recompress"]
    if resized == plain[1]:
        return [f"{after.output_size} px", *words]
    other = [step for step in plain[1] if step not in plain[0]]
    return [*(other or [f"without {step}" for step in plain[0] if step not in plain[1]]), *words]


@lru_cache(maxsize=1)
def _recipes() -> dict[str, Recipe]:
    return load_recipes()


@lru_cache
def _usual_settings(recipe: str, profile: str) -> dict[str, Any] | None:
    """Return the settings of a recipe under a profile; None if the recipe or the profile is not known here."""
    found = _recipes().get(recipe)
    try:
        return found.resolve(profile).model_dump(mode="json") if found else None
    except FgbenchError:
        return None
