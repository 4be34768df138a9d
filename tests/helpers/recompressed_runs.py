"""Small records of runs on images that were compressed once more, with their arrays."""

from made_records import RECIPES, deviation, of_right

KEY = "bcnn/bcnn_dd@cub"


def settings_at(quality=None, recipe=KEY, **changes):
    """Return the settings of a recipe, with `recompress(quality)` in front of both pipelines if there is a quality."""
    settings = RECIPES[recipe].settings.model_dump(mode="json") | changes
    step = "" if quality is None else f"recompress({quality}) | "
    return settings | {name: step + settings[name] for name in ("train_pipeline", "test_pipeline")}


def run_at(right, quality=None, seed=0, *, recipe=KEY, changes=None, **fields):
    """Return a record and its arrays; `right` says which images are classified correctly."""
    fields.setdefault("settings", settings_at(quality, recipe, **(changes or {})))
    if quality is not None:
        own = [deviation("train_pipeline"), deviation("test_pipeline")]
        fields["deviations"] = [*fields.get("deviations", ()), *own]
    return of_right(right, recipe, seed, **fields)
