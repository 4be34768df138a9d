"""What a run did in another way than its recipe, in words that need no knowledge of the settings."""

from collections.abc import Sequence

from fgbench.datasets.pipeline import Pipeline
from fgbench.papers.recipes import Recipe
from fgbench.records.record import Deviation
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError

FIRST = ("control", "data", "data.leak", "data.classes", "data.limit", "stages", "backbones")
"""Fields of the changes that matter most, in order; other fields follow."""

NETWORKS = {
    "vgg16": "VGG-16", "vgg19": "VGG-19", "vggm": "VGG-M", "squeezenet1_1": "SqueezeNet 1.1",
    "tiny_d": "the small network D", "tiny_m": "the small network M",
}  # fmt: skip
"""Network -> its name in papers."""
NOT_TUNED, OTHER_WEIGHTS, OTHER_STEPS = "not fine-tuned", "with other weights", "other steps before the network"


def changes_in_words(deviations: Sequence[Deviation], recipe: Recipe | None = None) -> list[str]:
    """Return the changes that make another experiment of a run, the most important ones first.

    Args:
        deviations: deviations of the run.
        recipe: with it, the words say for how many epochs the recipe trains.
    """
    changes = [deviation for deviation in deviations if deviation.changes_experiment]
    changes.sort(key=lambda deviation: FIRST.index(deviation.field) if deviation.field in FIRST else len(FIRST))
    words = [change_words(deviation) for deviation in changes]
    # Other networks have other weights.
    plain = [text for text in words if text != OTHER_WEIGHTS] or words
    if recipe and recipe.settings.stages and NOT_TUNED in plain:
        epochs = recipe.settings.ordered_stages[-1][1].epochs
        plain = [f"{text} (the recipe fine-tunes for {epochs} epochs)" if text == NOT_TUNED else text for text in plain]
    return list(dict.fromkeys(plain))


def change_words(deviation: Deviation) -> str:
    """Return what a run did in another way than its recipe, such as `not fine-tuned`."""
    field, planned, run = deviation.field, deviation.recipe, deviation.run
    if run is None:
        return f"without {field}"
    if field == "stages":
        return NOT_TUNED
    if field == "fixed_blocks" and isinstance(run, int):
        return f"the first {counted(run, 'block')} of the network not fine-tuned" if run else "all blocks fine-tuned"
    if field == "control":
        return str(run)
    if field == "backbones":
        return _networks(planned, run)
    if field.startswith("weights"):
        return OTHER_WEIGHTS
    if field in {"train_pipeline", "test_pipeline"}:
        return _images(str(planned), str(run))
    if field.startswith("data"):
        return _data(field, planned, run)
    if planned is None:
        return f"{field} is {_word(run)}"
    if field.startswith("stages.") and field.endswith(".epochs") and isinstance(run, int):
        return f"stage {field.split('.')[1]} trained for {counted(run, 'epoch')} instead of {planned}"
    return f"{field} is {_word(run)} instead of {_word(planned)}"


def _word(value: object) -> object:
    """Return a setting for a sentence: on or off for a switch."""
    return ("on" if value else "off") if isinstance(value, bool) else value


def _networks(planned: object, run: object) -> str:
    """Return which networks a run used, or did not use."""
    old, new = (tuple(map(str, value)) if isinstance(value, list | tuple) else () for value in (planned, run))
    if added := [network for network in dict.fromkeys(new) if network not in old]:
        known = {network.partition(":")[0] for network in old}
        names = [network if (name := network.partition(":")[0]) in known else name for network in added]
        return f"on {' and '.join(dict.fromkeys(map(network_words, names)))}"
    left_out = [network for network in dict.fromkeys(old) if network not in new]
    words = " and ".join(map(network_words, left_out or new))
    return f"without {words}" if left_out else f"on {words}"


def network_words(stream: str) -> str:
    """Return a stream, or a network alone, as papers name it.

    Example:
        >>> network_words("vgg16:relu5_3"), network_words("squeezenet1_1")
        ('relu5_3 of VGG-16', 'SqueezeNet 1.1')
    """
    network, _, tap = stream.partition(":")
    name = NETWORKS.get(network, network)
    return f"{tap} of {name}" if tap else name


def _images(planned: str, run: str) -> str:
    """Return how the images of a run differ."""
    try:
        old, new = Pipeline.parse(planned), Pipeline.parse(run)
    except FgbenchError:  # A record of another version may have steps that this version does not know.
        return OTHER_STEPS
    if old.output_size != new.output_size:
        return f"images of {new.output_size} px instead of {old.output_size} px"
    return "images compressed once more" if new.steps[0].name == "recompress" else OTHER_STEPS


def _data(field: str, planned: object, run: object) -> str:
    """Return on which data a run was made."""
    if field == "data.classes":
        return f"on {run} of {planned} classes"
    if field == "data.leak":
        return "with training images in the test"
    if field.startswith("data.annotations"):
        return "with other annotations"
    if field.startswith("data.counts"):
        return "on another number of images"
    return f"on {run}"
