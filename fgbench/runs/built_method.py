"""The method of a run on its pretrained networks, before it is trained."""

from collections.abc import Callable

from fgbench.backbones.small_weights import SMALL_NETWORKS
from fgbench.datasets.pipeline import Pipeline
from fgbench.methods import methods, options_of
from fgbench.methods.base import Method, Task
from fgbench.runs.experiment import Experiment
from fgbench.runs.frozen_networks import sees_few_images, set_precision
from fgbench.runs.run import Run
from fgbench.runs.streams import load_stream, maps_folder
from fgbench.util.numeric.seeding import generator


def build_method(run: Run, trial: Experiment, on_recall: Callable[[int], object] | None = None) -> Method:
    """Return the untrained method of a run on the CPU.

    Args:
        run: the run.
        trial: its data.
        on_recall: called with the number of images whose maps come from the cache of an earlier run. None to use no
            cache.
    """
    settings = run.settings
    networks = {stream.stream: load_stream(stream) for stream in run.streams}
    for network in networks.values():
        set_precision(network, run.recipe.method, settings)
    if on_recall and run.device == "cpu" and not run.network and sees_few_images(run.recipe.method, settings):
        for stream in run.streams:
            if stream.network not in SMALL_NETWORKS:  # these compute maps faster than a cache reads them
                network = networks[stream.stream]
                folder = maps_folder(stream, bf16=network.caches_bf16, blocks=settings.fixed_blocks)
                network.cache_outputs(folder, on_recall)
    part_names = trial.part_names if "parts" in run.protocol.train_sees else ()
    task = Task(trial.classes, Pipeline.parse(settings.test_pipeline).output_size, part_names)
    options = options_of(run.recipe.method, settings.options)
    backbones = [networks[stream.stream] for stream in run.streams]
    return methods[run.recipe.method](backbones, task, options, generator(run.seed, "initial weights"))
