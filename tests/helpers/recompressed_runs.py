"""Small records of runs on images that were compressed once more, with their arrays."""

import numpy as np
from made_records import RECIPES, Kept, deviation, of_right
from scipy import stats

from fgbench.judge.sensitivity import bound_for, find_bounds

KEY = "bcnn/bcnn_dd@cub"
N = 1000
RIGHT = np.arange(N) % 10 < 7
FIXED = {"stages": {}}
"""Settings of a recipe whose values do not depend on the seed."""


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


def changed(lower=0, higher=0):
    """Return which images are right if `lower` images more are wrong, and `higher` others more are right."""
    right = RIGHT.copy()
    right[np.flatnonzero(RIGHT)[:lower]] = False
    right[np.flatnonzero(~RIGHT)[:higher]] = True
    return right


def series(effects, seed=0, changes=FIXED, **fields):
    """Return a plain run and one run a quality, as pairs of record and arrays; `effects` has the changed images."""
    runs = [(quality, changed(*images)) for quality, images in effects.items()]
    return [run_at(right, quality, seed, changes=changes, **fields) for quality, right in ((None, RIGHT), *runs)]


def bounds_of(*pairs):
    return find_bounds([record for record, _ in pairs], Kept(*pairs))


def one_bound(*pairs, value="accuracy"):
    plain = [record for record, _ in pairs if "recompress" not in record.settings["test_pipeline"]]
    return bound_for(plain[:1], value, bounds_of(*pairs))


def interval(lower, higher, qualities, spread=()):
    """Return the interval as the papers of the method write it, with pairs of a variance and its degrees of freedom."""
    n, level = N + 2, 1 - 0.025 / qualities
    centre = (higher - lower) / n
    error = (lower + higher + 1 - (higher - lower) ** 2 / n) ** 0.5 / n
    half = (
        1e4 * error**2 * stats.t.ppf(level, N - 1) ** 2 + sum(v * stats.t.ppf(level, f) ** 2 for v, f in spread)
    ) ** 0.5
    return 100 * centre - half, 100 * centre + half
