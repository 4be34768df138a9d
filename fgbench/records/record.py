"""The record of a run: one sealed JSON file beside one array file, written atomically and never edited."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from fgbench.datasets.image_folder import PREFIX
from fgbench.metrics.values import Value
from fgbench.records.external import EXTERNAL, External
from fgbench.records.plain_fields import ProtocolFields, ProvenanceFields, SettingsFields, checked_fields
from fgbench.util.hashing import canonical, hash_value
from fgbench.util.validation import StrictModel

SCHEMA = 2
"""Version of the fields of a record. Records of schema 1 have no seal; they are read."""
Count = Annotated[int, Field(ge=0, lt=2**53)]


STARTING_WEIGHTS = "starts_from.weights"
"""Field of the deviation of a run whose first stages were trained from other weights than its own networks load."""
UNVERIFIED = "data.annotations"
"""Field of the remark that the annotations were not verified, because no hash of the official ones is known."""


class Deviation(StrictModel):
    """One field in which a run differs from its recipe or from the official data."""

    field: str
    """Dotted field of the recipe's settings, or `data.images`, `data.classes`, `data.annotations`, `control`."""
    recipe: Any
    """Value in the recipe or in the official data."""
    run: Any
    """Value in the run."""
    origin: str
    """Origin of the recipe's value: `paper`, `code`, `ours`; `data` for the data set."""
    changes_experiment: bool
    """True if the number is then not comparable with the printed one; False for a remark."""

    @property
    def changes_data(self) -> bool:
        """True if images or annotations are known to be others than the official ones."""
        return self.origin == "data" and self.field != UNVERIFIED


class Point(StrictModel):
    """One epoch of a learning curve."""

    stage: str
    """Name of the stage."""
    epoch: Count
    """Number of the epoch in its stage, from 1."""
    loss: float
    """Sum of the losses, mean over the training images."""
    accuracy: float
    """Correctly classified training images, as the network saw them, in percent."""
    wall_s: float
    """Seconds of the epoch."""


class Expected(StrictModel):
    """Cost of a run as it was estimated before the run."""

    device: str
    """Name of the device for which it was estimated."""
    source: str
    """How the rates of the device were obtained."""
    phase_s: dict[str, float]
    """Seconds of each phase."""
    part_s: dict[str, float]
    """Seconds of each kind of work: `arithmetic`, `launches`, `feeding`, `writing`, `svm`."""
    disk_mib: float
    """Largest size of the files of the run, with its decoded images."""
    host_mib: float
    """Largest resident memory of the process."""
    device_mib: float | None
    """Largest memory of the GPU; None on a CPU."""

    @property
    def wall_s(self) -> float:
        """Seconds of all phases."""
        return sum(self.phase_s.values())


class Cost(StrictModel):
    """Time, memory and energy of a run."""

    wall_s: float
    """Seconds over all sessions of the run; a session is one start of the program."""
    phase_s: dict[str, float]
    """Seconds of each phase."""
    peak_mib: float
    """Largest resident memory of the process over all sessions, mapped files included."""
    phase_peak_mib: dict[str, float] = {}
    """Largest resident memory of each phase; empty if the system cannot measure it."""
    device_peak_mib: float | None = None
    """Largest memory of tensors on the GPU of the first process over all sessions; None on a CPU."""
    test_fps: float | None = None
    """Test images per second, from decoded pixels to scores. Mirror images are computed but not counted.
    None if cached results of an earlier run were used."""
    recalled: Count = 0
    """Number of images, mirror images included, whose network output was read from the cache of an earlier run. The
    time of their computation is in no field."""
    energy_j: float | None = None
    """Energy of the GPU boards over the phases of the run, in joule, without the rest of the machine."""
    energy_note: str = ""
    """Why `energy_j` is missing or incomplete."""
    sittings: Count = 1
    """Number of sessions: how often the run was started until it was finished."""
    expected: Expected | None = None
    """The cost that `--dry-run` estimated before the run; None without one."""


class Weights(StrictModel):
    """The weights of one stream."""

    stream: str
    """`network:tap`."""
    name: str
    """Name of the weight file."""
    sha256: str
    """SHA-256 of the file; for a small network trained here, the hash of its training."""
    official: bool
    """True if the recipe names this file first."""


class StartsFrom(StrictModel):
    """The finished run from whose trained network a run started."""

    recipe: str
    """Key of its recipe."""
    run_id: str
    network_sha256: str
    """SHA-256 of the file of its network."""

    def __str__(self) -> str:
        return f"run {self.run_id} of {self.recipe}, network {self.network_sha256}"


class Record(StrictModel):
    """One finished run."""

    schema_version: Literal[1, 2] = 2
    run_id: str
    """Hash of everything that can change the values; also the name of the file."""
    recipe: str
    """`<paper>/<recipe>@<data>`."""
    title: str
    """Title of the recipe, with the networks that replace the networks of the recipe, and a further compression."""
    method: str
    """Name of the method."""
    profile: Literal["quick", "frozen", "paper", "external"]
    """Profile of the recipe; `external` if predictions or network were made outside fgbench."""
    seed: Count
    seeded: bool = True
    """True if another seed may give other values; if False, one run is enough."""
    settings: Annotated[dict[str, Any], checked_fields(SettingsFields)]
    """All settings of the run."""
    protocol: Annotated[dict[str, Any], checked_fields(ProtocolFields)]
    """All fields of the protocol."""
    protocol_hash: str
    """Hash of the protocol."""
    data: str
    """Data set of the measurement; for images of the user, `imagefolder:` and the name of their folder."""
    synthetic: bool
    """True if the data set was generated by code: its numbers are not comparable with printed ones."""
    split: str = ""
    """Name of the split if the data set has several. A mean over seeds is then also a mean over splits."""
    deviations: list[Deviation]
    weights: list[Weights]
    values: dict[str, Value]
    """Metric -> value."""
    curve: list[Point] = []
    """Learning curve, in the order of training."""
    cost: Cost
    provenance: Annotated[dict[str, Any], checked_fields(ProvenanceFields)]
    """Command, versions, commit, hardware, times."""
    outputs: str
    """Name of the array file beside this one: ids, labels, scores of every test sample."""
    outputs_sha256: str
    """SHA-256 of the array file."""
    scores_kept: Count | None = None
    """Number of highest scores that are kept of each image; the others are replaced by a lower value. None for all."""
    network_sha256: str = ""
    """SHA-256 of the trained network in the folder `networks`; empty if it was not kept."""
    starts_from: StartsFrom | None = None
    """The run that trained the first stages; None if this run trained all of its stages itself."""
    external: External | None = None
    """What was made outside fgbench; None for a run of fgbench. An external record is no evidence for its recipe."""
    seal: str = ""
    """SHA-256 of all other fields (see `fgbench.records.seal`); empty in a record of schema 1."""

    @model_validator(mode="after")
    def _marked(self) -> Self:
        if (self.profile == EXTERNAL) != (self.external is not None):
            raise ValueError("profile 'external' and the field 'external' must be given together")
        return self

    @cached_property
    def identity(self) -> str:
        """Hash that is equal for records that differ only in their seed, so that they may be averaged."""
        machine = {key: self.provenance.get(key) for key in ("source", "device", "processes", "packages")}
        machine |= {key: value for key, value in self.provenance.items() if key == "compiled"}
        weights = [entry.model_dump() for entry in self.weights]
        result = [self.external.result] if self.external else []
        result += [str(d.run) for d in self.deviations if d.field == STARTING_WEIGHTS]
        return hash_value([self.recipe, self.profile, self.protocol_hash, self.settings, weights, machine, *result])

    @cached_property
    def values_key(self) -> str:
        """Hash that is equal for records with equal values."""
        pairs = sorted((name, value.value) for name, value in self.values.items())
        return hashlib.sha256(repr(pairs).encode()).hexdigest()

    @cached_property
    def has_curve(self) -> bool:
        """True if the run has a learning curve."""
        return bool(self.curve)

    @cached_property
    def finished(self) -> str:
        """Time at which the run finished; empty if it is unknown."""
        return str(self.provenance.get("finished") or "")

    def provenance_of(self, name: str) -> Any:
        """Return a field of the provenance; None if it is unknown."""
        return self.provenance.get(name)

    def for_one_use(self) -> "Record":
        """Return the record; one that parses fields at their first use is copied, so that they are not kept."""
        return self

    def has_value(self, name: str) -> bool:
        """Return True if the record has a value of this name."""
        return name in self.values

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields replaced; what was computed from the fields is computed again."""
        copy = super().model_copy(update=update, deep=deep)
        for name in ("identity", "settings_text", "values_key", "has_curve", "finished"):
            copy.__dict__.pop(name, None)
        return copy

    @cached_property
    def settings_text(self) -> str:
        """The settings as canonical JSON."""
        return canonical(self.settings)

    @property
    def computed_here(self) -> bool:
        """False if the predictions were made outside fgbench, so that method and cost are not known."""
        return self.external is None or self.external.what == "network"

    @property
    def recipe_paper(self) -> str:
        """Id of the paper of the recipe."""
        return self.recipe.split("/")[0]

    @property
    def own_images(self) -> bool:
        """True if the run is on images of the user, which answer no printed number."""
        return self.data.startswith(PREFIX)

    @property
    def data_title(self) -> str:
        """Name of the data set in words; for images of the user, that of their folder."""
        return f"{self.data.removeprefix(PREFIX)} (own images)" if self.own_images else self.data.replace("_", " ")

    @property
    def sealed(self) -> bool:
        """True if the record has a seal; False for a record of schema 1, in which an edit may not be found."""
        return bool(self.seal)

    @property
    def comparable(self) -> bool:
        """True if the data are real and no deviation changes the experiment."""
        return not self.synthetic and not any(d.changes_experiment for d in self.deviations)

    @property
    def control(self) -> bool:
        """True for a control experiment, such as shuffled labels."""
        planned = self.protocol.get("control", "none")
        return bool(planned != "none") or any(d.field == "control" for d in self.deviations)


def by_identity(records: Iterable[Record]) -> list[list[Record]]:
    """Group records that differ only in their seed, in the order of their first record.

    Of two records with the same seed, such as a run and the same run with `--watch-test`, the one that finished first
    counts, so that a repetition cannot replace a value.
    """
    groups: dict[str, dict[int, Record]] = {}
    for record in records:
        seeds = groups.setdefault(record.identity, {})
        seeds[record.seed] = min(seeds.get(record.seed, record), record, key=_finish)
    return [list(group.values()) for group in groups.values()]


def _finish(record: Record) -> tuple[str, str]:
    """Return the time at which a run finished, and its id."""
    return record.finished, record.run_id
