"""The page on provenance: of every run the machine, packages, code, weights, data and command, each told once."""

from collections.abc import Sequence
from dataclasses import dataclass

from fgbench.records.record import Record, Weights
from fgbench.report.formatting import NONE

Fields = tuple[tuple[str, str], ...]
"""Name and value."""
CODE = ("Images' hash", "Annotations' hash", "Protocol", "SHA-256", "Source", "Commit", "Command")
"""Fields that are read letter by letter."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that several runs have in common."""

    key: str
    """How the runs name it, such as M1; its anchor, too."""
    fields: Fields
    runs: int
    """How many have it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Parts of one kind, as a table."""

    id: str
    title: str
    caption: str
    parts: tuple[Part, ...]
    code: tuple[str, ...] = CODE
    """Fields that are set as code."""

    @property
    def heads(self) -> list[str]:
        """Names of the fields."""
        return [name for name, _ in self.parts[0].fields]


@dataclass(frozen=True, slots=True)
class Origin:
    """A run, and the keys of the parts it is made of."""

    record: Record
    data: str
    machine: str
    packages: str
    code: str
    weights: tuple[str, ...]
    command: str
    finished: str
    """To the minute."""


@dataclass(frozen=True, slots=True)
class ProvenancePage:
    """What the page shows."""

    kinds: tuple[Kind, ...]
    origins: tuple[Origin, ...]


class _Parts:
    """Parts of one kind, numbered in the order in which they are first met."""

    def __init__(self, letter: str) -> None:
        self.letter = letter
        self.found: dict[Fields, list[int]] = {}

    def key(self, fields: Fields) -> str:
        """The key of a part that one more run has."""
        number, runs = self.found.setdefault(fields, [len(self.found) + 1, 0])
        self.found[fields][1] = runs + 1
        return f"{self.letter}{number}"

    def parts(self) -> tuple[Part, ...]:
        """Every part, in the order of their numbers."""
        return tuple(Part(f"{self.letter}{number}", fields, runs) for fields, (number, runs) in self.found.items())


def provenance_page(records: Sequence[Record]) -> ProvenancePage:
    """Every run, and what runs have in common told once."""
    data, machines, packages = _Parts("D"), _Parts("M"), _Parts("P")
    code, weights, commands = _Parts("F"), _Parts("W"), _Parts("C")
    origins = []
    for record in records:
        known = record.provenance
        origins.append(
            Origin(
                record,
                data=data.key(_data(record)),
                machine=machines.key(_machine(record)),
                packages=packages.key(_packages(record)),
                code=code.key(_code(record)),
                # Two streams may be of one file.
                weights=tuple(map(weights.key, dict.fromkeys(_weights(w) for w in record.weights))),
                command=commands.key((("Command", str(known.get("command") or NONE)),)),
                finished=_minute(known.get("finished")),
            )
        )
    kinds = (
        Kind("data", "Data", "What was measured on, and what the methods might see of it.", data.parts()),
        Kind("weights", "Weights", "Files by their SHA-256; of a network trained here, how it is trained, hashed.",
             weights.parts()),
        Kind("machines", "Machines", "Values may differ in their last digits between them.", machines.parts()),
        Kind("packages", "Packages", "What the runs were computed with.", packages.parts()),
        Kind("code", "fgbench", "Its source is hashed without what only shows results.", code.parts()),
        Kind("commands", "Commands", "As they were typed.", commands.parts()),
    )  # fmt: skip
    return ProvenancePage(tuple(kind for kind in kinds if kind.parts), tuple(origins))


def _data(record: Record) -> Fields:
    p = record.protocol
    sees = [
        f"{' and '.join(p[key])} in {when}"
        for key, when in (("train_sees", "training"), ("test_sees", "test"))
        if p[key]
    ]
    control = "" if p.get("control", "none") == "none" else f"; control: {p['control']}"
    return (
        ("Data set", record.data.replace("_", " ") + (" (synthetic)" if record.synthetic else "")),
        ("Images", f"{p['train_images']:,} + {p['test_images']:,} of {p['classes']:,} classes"),
        ("Methods see", (", ".join(sees) or "class labels") + control),
        ("Images' hash", str(p["images"])),
        ("Annotations' hash", str(p["annotations"])),
        ("Protocol", record.protocol_hash),
    )


def _weights(weights: Weights) -> Fields:
    return (("Name", weights.name), ("SHA-256", weights.sha256))


def _machine(record: Record) -> Fields:
    known = record.provenance
    threads = f"{known.get('threads', NONE)} in {known.get('processes', 1)} process(es)"
    return (
        ("Processor", str(known.get("cpu", NONE))),
        ("Cores", str(known.get("cores", NONE))),
        ("Device", str(known.get("device", NONE))),
        ("Threads", threads.replace("1 process(es)", "1 process").replace("process(es)", "processes")),
        ("Platform", str(known.get("platform", NONE))),
    )


def _packages(record: Record) -> Fields:
    packages = record.provenance.get("packages") or {}
    listed = ", ".join(f"{name} {version}" for name, version in packages.items())
    return (("Python", str(record.provenance.get("python", NONE))), ("Packages", listed or NONE))


def _code(record: Record) -> Fields:
    known = record.provenance
    commit = str(known.get("commit") or "unknown") + (" with changes" if known.get("dirty") else "")
    return (
        ("Version", str(known.get("fgbench", NONE))),
        ("Source", str(known.get("source", NONE))),
        ("Commit", commit),
    )


def _minute(time: object) -> str:
    return str(time)[:16].replace("T", " ") if time else NONE
