"""The page on provenance: data, weights, machine, packages, code and command of each run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fgbench.records.record import Record, Weights
from fgbench.report.formatting import NONE, gpu_text
from fgbench.report.html.data_origin import data_origin
from fgbench.report.html.pages import Page
from fgbench.report.html.run_groups import method_inputs

Fields = tuple[tuple[str, str], ...]
"""Name and value of each field."""
CODE_FIELDS = ("Hash of the images", "Hash of the annotations", "Protocol", "SHA-256", "Source", "Commit", "Command")
"""Fields in a monospaced font."""


@dataclass(frozen=True, slots=True)
class SharedPart:
    """A part of the provenance that several runs share, such as a machine."""

    key: str
    """Key in the rows of the runs, such as M1; also the anchor."""
    fields: Fields
    runs: int
    """Number of runs."""


@dataclass(frozen=True, slots=True)
class PartTable:
    """Parts of one kind as a table."""

    id: str
    title: str
    caption: str
    parts: tuple[SharedPart, ...]
    code: tuple[str, ...] = CODE_FIELDS
    """Fields in a monospaced font."""

    @property
    def heads(self) -> list[str]:
        """Names of the fields."""
        return [name for name, _ in self.parts[0].fields]


@dataclass(frozen=True, slots=True)
class ProvenanceRow:
    """A run with the keys of its parts."""

    record: Record
    data: str
    machine: str
    packages: str
    code: str
    weights: tuple[str, ...]
    command: str
    finished: str
    """Time to the minute."""


class _PartNumbers:
    """Parts of one kind, numbered in the order of their first run."""

    def __init__(self, letter: str) -> None:
        """Start without a part; the keys begin with the letter."""
        self._letter = letter
        self._keys: dict[Fields, str] = {}
        self._runs: Counter[Fields] = Counter()

    def key(self, fields: Fields) -> str:
        """Count one more run that has a part; return the key of the part."""
        self._runs[fields] += 1
        return self._keys.setdefault(fields, f"{self._letter}{len(self._keys) + 1}")

    def parts(self) -> tuple[SharedPart, ...]:
        """Return all parts in the order of their numbers."""
        return tuple(SharedPart(key, fields, self._runs[fields]) for fields, key in self._keys.items())


def provenance_pages(records: Sequence[Record], left_out: Sequence[str] = ()) -> list[Page]:
    """Return the page on provenance; no page if there are no records and none is left out."""
    if not records and not left_out:
        return []
    rows, tables = provenance_tables(records)
    return [
        Page(
            "provenance",
            "Provenance",
            "provenance.html.j2",
            data_origin(records),
            context={
                "rows": rows,
                "tables": tables,
                "unsealed": sum(not record.sealed for record in records),
                "starts": any(record.starts_from for record in records),
            },
        )
    ]


def provenance_tables(records: Sequence[Record]) -> tuple[list[ProvenanceRow], list[PartTable]]:
    """Return a row per run, and the tables of the parts that runs share."""
    data, machines, packages = _PartNumbers("D"), _PartNumbers("M"), _PartNumbers("P")
    code, weights, commands = _PartNumbers("F"), _PartNumbers("W"), _PartNumbers("C")
    any_gpu = any(map(gpu_text, records))
    rows = [
        ProvenanceRow(
            record,
            data=data.key(_data_fields(record)),
            machine=machines.key(_machine_fields(record, any_gpu=any_gpu)),
            packages=packages.key(_package_fields(record)),
            code=code.key(_code_fields(record)),
            # Two streams may use the same file.
            weights=tuple(map(weights.key, dict.fromkeys(_weights_fields(w) for w in record.weights))),
            command=commands.key((("Command", str(record.provenance.get("command") or NONE)),)),
            finished=record.finished[:16].replace("T", " ") or NONE,
        )
        for record in records
    ]
    tables = (
        PartTable("data", "Data", "Images, and the annotations that the methods get.", data.parts()),
        PartTable("weights", "Weights", "SHA-256 of the file.",
                  weights.parts()),
        PartTable("machines", "Machines", "The last digits of values may differ between machines.", machines.parts()),
        PartTable("packages", "Packages", "Versions of Python and of the packages.", packages.parts()),
        PartTable("code", "fgbench", "The hash of the source leaves out code that only shows results.", code.parts()),
        PartTable("commands", "Commands", "The commands as they were typed.", commands.parts()),
    )  # fmt: skip
    return rows, [table for table in tables if table.parts]


def _data_fields(record: Record) -> Fields:
    protocol = record.protocol
    control = "" if protocol.get("control", "none") == "none" else f"; control: {protocol['control']}"
    return (
        ("Data set", record.data_title + (" (synthetic)" if record.synthetic else "")),
        ("Images", f"{protocol['train_images']:,} + {protocol['test_images']:,} of {protocol['classes']:,} classes"),
        ("Methods see", (", ".join(method_inputs(record)) or "class labels") + control),
        ("Hash of the images", str(protocol["images"])),
        ("Hash of the annotations", str(protocol["annotations"])),
        ("Protocol", record.protocol_hash),
    )


def _weights_fields(weights: Weights) -> Fields:
    return (("Name", weights.name), ("SHA-256", weights.sha256))


def _machine_fields(record: Record, *, any_gpu: bool) -> Fields:
    provenance = record.provenance
    processes = provenance.get("processes", 1)
    return (
        ("Processor", str(provenance.get("cpu", NONE))),
        ("Cores", str(provenance.get("cores", NONE))),
        ("Device", str(provenance.get("device", NONE))),
        ("Threads", f"{provenance.get('threads', NONE)} in {processes} process{'' if processes == 1 else 'es'}"),
        ("Platform", str(provenance.get("platform", NONE))),
        *((("GPU", gpu_text(record) or NONE),) if any_gpu else ()),
    )


def _package_fields(record: Record) -> Fields:
    packages = record.provenance.get("packages") or {}
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    return (("Python", str(record.provenance.get("python", NONE))), ("Packages", versions or NONE))


def _code_fields(record: Record) -> Fields:
    provenance = record.provenance
    return (
        ("Version", str(provenance.get("fgbench", NONE))),
        ("Source", str(provenance.get("source", NONE))),
        ("Commit", str(provenance.get("commit") or "unknown") + (" with changes" if provenance.get("dirty") else "")),
    )
