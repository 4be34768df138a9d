"""One run: a recipe under a profile with a seed, with all settings resolved, and its id."""

import json
import os
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from importlib.metadata import version
from typing import Any

from fgbench.datasets import find
from fgbench.datasets.image_folder import hashed_name, recorded_name
from fgbench.methods import methods, options_of
from fgbench.papers.recipes import Recipe
from fgbench.papers.settings import HALF, Settings, Stage
from fgbench.records.record import Deviation
from fgbench.records.run_cost import Expected
from fgbench.runs.outside_network import OutsideNetwork
from fgbench.runs.protocol import Protocol
from fgbench.runs.streams import StreamWeights
from fgbench.runs.training.distributed import processes
from fgbench.util.code_hash import hash_code
from fgbench.util.hashing import hash_value

LIBRARIES = ("torch", "torchvision", "timm", "numpy", "pillow", "scipy")
"""Packages whose version can change a value."""
THREADS = {"quick": 1, "frozen": 4, "paper": 4}
"""CPU threads of a run under each profile. The rounding of sums depends on the number of threads, so it must not depend
on the machine, on `--jobs`, or on the load."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of the user to the settings of a profile."""

    data: str | None = field(default=None, kw_only=True)
    """`imagefolder:PATH` with the whole path: images of the user in place of the data set of the recipe."""
    classes: int | None = None
    """Use only the first classes of the data set."""
    size: int | None = None
    """Input size in pixels."""
    shuffle_labels: bool = False
    """Control experiment: the training labels are permuted; the accuracy must fall to chance level."""
    backbone: str | None = None
    """A network that replaces every convolutional stream, as `network:tap`."""
    precision: str | None = None
    """Precision of the networks."""
    watch_test: bool = False
    """Record the accuracy on the test images after each epoch; nothing is selected with it."""
    recompress: int | None = None
    """Compress every image once more to JPEG of this quality, from 1 to 95."""
    watch_every: int = 1
    """With `watch_test`: record this accuracy only after every N-th epoch of a stage and after its last."""
    compile: bool = False
    """Compile the networks for the training by torch.compile."""
    epochs: int | None = None
    """Number of epochs of each stage."""
    limit: int | None = None
    """Use only so many training and so many test images."""
    set_values: tuple[str, ...] = ()
    """Values of settings, `NAME=VALUE` each."""


@dataclass(frozen=True)
class Run:
    """A recipe under a profile with a seed, with all settings resolved."""

    recipe: Recipe
    profile: str
    """`quick`, `frozen` or `paper`."""
    seed: int
    settings: Settings
    """Settings of the recipe under the profile, with the changes of the user."""
    protocol: Protocol
    streams: tuple[StreamWeights, ...]
    """Networks with their weights, in the order of the recipe."""
    device: str
    """`cpu` or `cuda`; values may differ between them."""
    deviations: tuple[Deviation, ...] = field(repr=False)
    """Fields in which the run differs from its recipe or from the official data."""
    changes: Changes = Changes()
    """Changes of the user."""
    expected: Expected | None = field(default=None, repr=False, compare=False)
    """Cost that was estimated before; not part of the id."""
    keep_network: bool = field(default=False, repr=False, compare=False)
    """Whether the trained network is kept; not part of the id."""
    loggers: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """Names of the loggers of the training; not part of the id."""
    log_every: int = field(default=50, repr=False, compare=False)
    """Number of steps between two points of the loggers; not part of the id."""
    network: OutsideNetwork | None = field(default=None, repr=False)
    """A trained network that is tested instead of training one; None for a run that trains."""
    parent: "Run | None" = field(default=None, repr=False)
    """The run from whose trained network this one starts; None if it trains all of its stages itself."""
    network_needed: bool = field(default=False, repr=False, compare=False)
    """Whether another run starts from the network of this one, which must then be there; not part of the id."""

    @cached_property
    def id(self) -> str:
        """Hash of everything that can change the values of the run, and of nothing else."""
        return hash_value(self.id_content())

    def id_content(self) -> dict[str, Any]:
        """Return the content that is hashed to the id; `docs/architecture.md` explains each entry."""
        content = {
            "recipe": self.recipe.key,
            "method": self.recipe.method,
            "profile": self.profile,
            "seed": self.seed,
            "settings": self._settings(),
            "protocol": self.protocol.hash,
            "streams": [[stream.stream, stream.sha256] for stream in self.streams],
            "device": self.device,
            "processes": processes(),
            "code": code_of(self.recipe.method),
            "libraries": _libraries(),
        }
        if self.network:
            content["network"] = [self.network.sha256, self.network.result]
        if self.parent:
            content["starts_from"] = self.parent.id
        return content | self._watched() | ({"compile": True} if self.changes.compile else {})

    def _settings(self) -> dict[str, Any]:
        """Return the settings without the path of images of the user."""
        return self.settings.model_dump(mode="json") | {"data": hashed_name(self.settings.data)}

    def _watched(self) -> dict[str, Any]:
        """Return the entries of `--watch-test` and `--watch-every` in the id; none for their defaults."""
        if not self.changes.watch_test:
            return {}
        every = self.changes.watch_every
        return {"watch_test": True} | ({"watch_every": every} if every > 1 else {})

    @cached_property
    def seeded(self) -> bool:
        """True if another seed may give other values."""
        return is_seeded(self.recipe.method, self.settings, shuffled=self.changes.shuffle_labels)

    @property
    def own_stages(self) -> list[tuple[str, Stage]]:
        """The stages that this run trains itself, with their names, in order."""
        shared = self.parent.settings.stages if self.parent else {}
        return [(name, stage) for name, stage in self.settings.ordered_stages if name not in shared]

    @property
    def threads(self) -> int:
        """Number of CPU threads: fixed by the profile, but in bfloat16 at most one for each core.

        Values in bfloat16 differ between processors anyway, and its kernels wait in loops for threads without a core.
        """
        threads = THREADS[self.profile]
        in_bf16 = self.settings.precision == HALF and self.device == "cpu"
        return min(threads, os.cpu_count() or 1) if in_bf16 else threads

    @property
    def what(self) -> str:
        """Title of the recipe, followed by the networks that replace the networks of the recipe and a recompression."""
        streams = dict.fromkeys(stream.partition("#")[0] for stream in self.settings.backbones)
        networks = f" on {', '.join(streams)}" if self.changes.backbone and streams else ""
        quality = self.changes.recompress
        return self.recipe.title + networks + (f", recompressed to quality {quality}" if quality else "")

    @property
    def title(self) -> str:
        """Recipe, profile and seed in a few words."""
        what = f"{self.network.title} as {self.recipe.title}" if self.network else self.what
        return f"{what}, {self.profile}, seed {self.seed}"

    def record_fields(self) -> dict[str, Any]:
        """Return the fields of the record that are known before the run is executed."""
        return self._fields() | (self.network.record_fields() if self.network else {})

    def _fields(self) -> dict[str, Any]:
        return {
            "run_id": self.id,
            "recipe": self.recipe.key,
            "title": self.what,
            "method": self.recipe.method,
            "profile": self.profile,
            "seed": self.seed,
            "seeded": self.seeded,
            "settings": self._settings(),
            "protocol": json.loads(json.dumps(asdict(self.protocol))),
            "protocol_hash": self.protocol.hash,
            "data": recorded_name(self.settings.data),
            "synthetic": find(self.settings.data).synthetic,
            "deviations": [deviation.model_dump() for deviation in self.deviations],
            "weights": [
                {"stream": s.stream, "name": s.name, "sha256": s.sha256, "official": s.official} for s in self.streams
            ],
        }


def is_seeded(method: str, settings: Settings, *, shuffled: bool) -> bool:
    """Return True if values may depend on the seed: the run trains, draws random numbers, or shuffles labels."""
    if settings.stages or settings.classifier == "softmax" or shuffled:
        return True
    rules = settings.ranking
    if rules and (rules.splits > 1 or rules.gallery == "single_shot"):
        return True
    return methods[method].draws(options_of(method, settings.options))


@lru_cache
def code_of(method: str) -> str:
    """Return a hash of the code that computes the values of a method: of fgbench and of the method's own package."""
    return hash_code(methods[method].__module__)


@lru_cache(maxsize=1)
def _libraries() -> dict[str, str]:
    return {name: version(name).split("+")[0] for name in LIBRARIES}
