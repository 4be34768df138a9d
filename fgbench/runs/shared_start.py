"""Comparison of a recipe with the recipe from whose trained network it starts: networks, weight files and options.

The lists of weight files in two recipes may differ. What counts is the file that each of them loads on this machine.
"""

from collections.abc import Sequence

from fgbench.methods import methods, options_of
from fgbench.papers.recipes import Recipe
from fgbench.papers.settings import Settings
from fgbench.records.record import STARTING_WEIGHTS, Deviation
from fgbench.runs.run import Run
from fgbench.runs.streams import StreamWeights
from fgbench.util.errors import FgbenchError


def start_deviations(
    recipe: Recipe, settings: Settings, streams: Sequence[StreamWeights], parent: Run
) -> tuple[Deviation, ...]:
    """Compare the networks, weights and options of a run with those of the run from whose network it starts.

    Options that the other recipe sets must be equal if the method of this one has them. Other options may differ,
    because they describe what the other recipe does not train, such as the classifier.

    Args:
        recipe: the recipe that starts from another one.
        settings: its settings under the profile.
        streams: its networks with their weights.
        parent: the run from which it starts.

    Returns:
        A deviation if a network of the other run was trained from another weight file than this run loads for it. It
        changes the experiment if other people than the authors trained the weights of that file.

    Raises:
        FgbenchError: a network of the other recipe is not one of this recipe, or an option differs.
    """
    where = f"{recipe.key} starts from {parent.recipe.key}, but under {parent.profile}"
    _check_options(where, recipe, settings, parent)
    replaced: dict[str, StreamWeights] = {}
    loaded: dict[str, str] = {}
    for stream in parent.streams:
        same = [other for other in streams if other.network == stream.network]
        if not same:
            names = ", ".join(dict.fromkeys(other.network for other in streams)) or "none"
            raise FgbenchError(
                f"{where} it has the networks {names}, not {stream.network}",
                "use the network of the recipe it starts from",
            )
        # The stream at the same layer takes over the network; without one, any stream of the network may.
        at_tap = [other for other in same if _tap(other) == _tap(stream)] or same
        if stream.sha256 not in {other.sha256 for other in at_tap}:
            replaced[stream.network] = stream
            loaded[stream.network] = at_tap[0].name
    if not replaced:
        return ()
    return (
        Deviation(
            field=STARTING_WEIGHTS,
            recipe=", ".join(loaded.values()),
            run=", ".join(f"{stream.name} for {stream.stream}" for stream in replaced.values()),
            origin="ours",
            changes_experiment=not all(stream.original for stream in replaced.values()),
        ),
    )


def _tap(stream: StreamWeights) -> str:
    return stream.stream.partition("#")[0]


def _check_options(where: str, recipe: Recipe, settings: Settings, parent: Run) -> None:
    """Check that options that the other recipe sets are equal if the method of this recipe has them."""
    here, there = options_of(recipe.method, settings.options), options_of(parent.recipe.method, parent.settings.options)
    for name in parent.settings.options:
        if name not in methods[recipe.method].Options.model_fields:
            continue
        mine, other = getattr(here, name), getattr(there, name)
        if mine != other:
            raise FgbenchError(
                f"{where} its options.{name} is {mine!r}, not {other!r}", "make the option equal in both"
            )
