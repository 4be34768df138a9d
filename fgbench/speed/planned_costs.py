"""Estimated costs of planned runs, and of recipes whose data or weights are not here."""

from functools import lru_cache

from fgbench.datasets import OwnImages, find
from fgbench.datasets.pipeline import Pipeline
from fgbench.datasets.pixel_cache import pixel_file
from fgbench.datasets.synthetic.bird_drawing import KEYPOINTS
from fgbench.papers.recipes import Recipe
from fgbench.papers.settings import Settings
from fgbench.records.run_cost import Expected
from fgbench.runs.experiment import PersonSearch, experiment
from fgbench.runs.frozen_networks import uses_bf16
from fgbench.runs.planning import known_index
from fgbench.runs.run import Run
from fgbench.speed.cost_estimate import estimate
from fgbench.speed.machine_rates import DeviceRates, HostRates
from fgbench.speed.run_kernels import RunKernels, Sizes, run_kernels


def expected_cost(run: Run, device: DeviceRates, host: HostRates) -> Expected:
    """Estimate the cost of a planned run on this machine, with its cache of decoded images.

    Raises:
        FgbenchError: the operations of the method cannot be counted, or the data set has changed.
    """
    protocol = run.protocol
    parts = KEYPOINTS if "parts" in protocol.train_sees else ()
    sizes = Sizes(protocol.train_images, protocol.test_images, protocol.classes, parts)
    settings = run.settings.model_copy(update={"stages": dict(run.own_stages)})
    kernels = _kernels(run.recipe.method, _in_float32(settings), sizes)
    bf16 = uses_bf16(run.recipe.method, run.settings)
    return estimate(kernels, settings, sizes, device, host, _images_to_decode(run), bf16=bf16)


def official_cost(recipe: Recipe, settings: Settings, device: DeviceRates, host: HostRates) -> Expected | None:
    """Estimate the cost of a recipe on the official data, which need not be here, or on all images of the user.

    Returns:
        The cost; None if the numbers of images are not known.

    Raises:
        FgbenchError: the operations of the method cannot be counted.
    """
    dataset = find(settings.data)
    counts = dataset.index().counts if isinstance(dataset, OwnImages) else dataset.counts
    classes = counts.get("classes", counts.get("train_identities"))
    test = counts.get("test", counts.get("query", 0) + counts.get("gallery", 0))
    if not (classes and test and counts.get("train")):
        return None
    sizes = Sizes(counts["train"], test, classes, KEYPOINTS if "parts" in recipe.train else ())
    kernels = _kernels(recipe.method, _in_float32(settings), sizes)
    bf16 = uses_bf16(recipe.method, settings) and not (recipe.start and settings.starts_from)
    return estimate(kernels, settings, sizes, device, host, bf16=bf16)


def _in_float32(settings: Settings) -> str:
    """Return settings as JSON, with the precision in which kernels are counted."""
    return settings.model_copy(update={"precision": "32-true"}).model_dump_json()


@lru_cache(maxsize=256)
def _kernels(method: str, settings: str, sizes: Sizes) -> RunKernels:
    """Return the kernels of a run; the seeds of a recipe share them, and so do both precisions."""
    return run_kernels(method, Settings.model_validate_json(settings), sizes)


def _images_to_decode(run: Run) -> int | None:
    """Return the number of images that are not in the cache of decoded images; None for all."""
    trial = experiment(known_index(run.settings, run.changes), run.protocol, run.settings, run.seed)
    if isinstance(trial, PersonSearch):
        return None  # its splits share the images of the whole data set
    train, test = Pipeline.parse(run.settings.train_pipeline), Pipeline.parse(run.settings.test_pipeline)
    parts = [(trial.training.images, test), (trial.test.images, test)]
    if run.own_stages and train.fixed != test.fixed:
        parts.append((trial.training.images, train))
    return sum(len(images) for images, pipeline in parts if not pixel_file(images, pipeline).is_file())
