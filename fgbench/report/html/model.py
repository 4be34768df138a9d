"""What the pages show, computed from papers, verdicts and records; templates only lay it out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

from fgbench.judge.anomalies import Anomalies, Anomaly
from fgbench.judge.verdict import Outcome, Verdict
from fgbench.metrics.values import headline as main_value
from fgbench.papers.printed import Paper, Table
from fgbench.records.record import Deviation, Record
from fgbench.report.formatting import BADGES, NONE, Badge


@dataclass(frozen=True, slots=True)
class Group:
    """Cells with the same outcome and reason and no run of their own."""

    badge: Badge
    reason: str
    ways: tuple[tuple[str, tuple[str, ...]], ...]
    """Commands, each with the cells that it gets or unblocks."""

    @property
    def cells(self) -> list[str]:
        """All of them."""
        return [cell for _, own in self.ways for cell in own]


def table_rows(paper: Paper, table: Table, verdicts: Sequence[Verdict]) -> list[tuple[str, str, list[Verdict | None]]]:
    """Label, role and the cells of each row of a printed table; None where the paper prints nothing."""
    by_id = {verdict.cell.id: verdict for verdict in verdicts}
    return [
        (row.label, row.role, [by_id.get(f"{table.id}/{row.id}/{column.id}") for column in table.columns])
        for row in table.rows
    ]


def of_table(table: Table, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts on a table's cells, context left out."""
    return [v for v in verdicts if v.cell.id.startswith(f"{table.id}/") and v.outcome != Outcome.CONTEXT]


def groups(verdicts: Sequence[Verdict]) -> list[Group]:
    """Cells without a run, together where outcome and reason are the same."""
    found: dict[tuple[Outcome, str], dict[str, list[str]]] = {}
    for verdict in verdicts:
        if not verdict.records:
            ways = found.setdefault((verdict.outcome, verdict.reason), {})
            ways.setdefault(verdict.command, []).append(f"{verdict.cell.row}, {verdict.cell.column}")
    return [
        Group(BADGES[outcome], reason, tuple((command, tuple(cells)) for command, cells in ways.items()))
        for (outcome, reason), ways in found.items()
    ]


@dataclass(frozen=True, slots=True)
class Entry:
    """A deviation in the ledger of a paper."""

    deviation: Deviation
    recipes: tuple[str, ...]
    """Titles of what was run with it."""
    cells: tuple[str, ...]
    """Every cell it touches."""


def ledger(verdicts: Sequence[Verdict]) -> list[Entry]:
    """Every deviation of the runs behind some cells, with all the cells that stand on such a run."""
    cells: dict[tuple[str, str, str], list[Verdict]] = {}
    deviations: dict[tuple[str, str, str], Deviation] = {}
    for verdict in verdicts:
        for deviation in verdict.deviations:
            key = (deviation.field, str(deviation.recipe), str(deviation.run))
            deviations[key] = deviation
            cells.setdefault(key, []).append(verdict)
    return [
        Entry(
            deviation,
            tuple(dict.fromkeys(verdict.records[0].title for verdict in cells[key])),
            tuple(f"{verdict.cell.row}, {verdict.cell.column} ({verdict.cell.table})" for verdict in cells[key]),
        )
        for key, deviation in sorted(deviations.items())
    ]


def by_protocol(groups: Sequence[Sequence[Record]]) -> list[tuple[str, list[Sequence[Record]]]]:
    """Runs in tables of one protocol each, with what the protocol is."""
    found: dict[str, list[Sequence[Record]]] = {}
    for group in groups:
        found.setdefault(group[0].protocol_hash, []).append(group)
    return [(_protocol(own[0][0]), own) for own in found.values()]


def _protocol(record: Record) -> str:
    p = record.protocol
    sees = [
        f"{' and '.join(p[key])} in {when}"
        for key, when in (("train_sees", "training"), ("test_sees", "test"))
        if p[key]
    ]
    seen = f"; methods see {', '.join(sees)}" if sees else ""
    control = f"; control: {p['control']}" if record.control else ""
    images = f"{p['train_images']:,} training and {p['test_images']:,} test images of {p['classes']:,} classes"
    return f"{record.data.replace('_', ' ')}, {images}{seen}{control}. Protocol {record.protocol_hash}."


def oddities(records: Sequence[Record], anomalies: Anomalies) -> list[Anomaly]:
    """What is odd about some runs, once."""
    return list(dict.fromkeys(anomaly for record in records for anomaly in anomalies.get(record.run_id, ())))


def headline(records: Sequence[Record]) -> str:
    """The value that says most of some runs: name, mean over them, unit."""
    name = main_value(records[0].values)
    unit = records[0].values[name].unit
    return f"{name} {mean_of(records, name):.1f} {unit}"


def mean_over(records: Sequence[Record], of: Callable[[Record], float | None]) -> float | None:
    """The mean over some runs of something positive; None where one lacks it."""
    values = [value for record in records if (value := of(record)) is not None and isfinite(value) and value > 0]
    return sum(values) / len(values) if len(values) == len(records) else None


def test_fps(records: Sequence[Record]) -> float | None:
    """Test images a second, the mean over some runs."""
    return mean_over(records, lambda record: record.cost.test_fps)


def mean_of(records: Sequence[Record], name: str) -> float | None:
    """The mean over some runs of a value; None where one lacks it."""
    values = [record.values[name].value for record in records if name in record.values]
    return sum(values) / len(values) if len(values) == len(records) else None


def spread(records: Sequence[Record], name: str) -> list[float]:
    """A value of each run."""
    return [record.values[name].value for record in records]


ENDS: tuple[tuple[str, Callable[[list[float]], float]], ...] = (("least", min), ("most", max))
"""What is shown of a spread."""

Grid = tuple[str, list[str], list[tuple[str, list[float | None]]]]
"""Caption, column heads, and rows of a name and its values."""


def value_table(records: Sequence[Record]) -> list[Grid]:
    """The values of some runs beside the accuracy, means over them, as tables: PCK by part, PCP, attention."""
    names = list(records[0].values)
    found: list[Grid] = []
    reaches = sorted({name.partition("/")[0] for name in names if name.startswith("pck@")})
    if reaches:
        parts = [name.partition("/")[2] for name in names if name.startswith(f"{reaches[0]}/")]
        rows = [("mean of the parts", [mean_of(records, reach) for reach in reaches])]
        rows += [(part, [mean_of(records, f"{reach}/{part}") for reach in reaches]) for part in parts]
        found.append(("Keypoints within reach of the true ones, %", reaches, rows))
    searched = [
        ("Right among the first images, %", [name for name in names if name.startswith("cmc@")]),
        ("Mean precisions, %", [name for name in names if name.startswith("map/") or name == "minp"]),
    ]
    for caption, own in searched:
        if own:
            rows = [("mean over seeds", [mean_of(records, name) for name in own])]
            if len(records) > 1:
                rows += [(words, [end(spread(records, name)) for name in own]) for words, end in ENDS]
            found.append((caption, own, rows))
    for kind, caption in (
        ("pcp", "Parts with IoU over 0.5, %"),
        ("attention", "Attention, times the image's mean"),
        ("watched", "Test images right by the softmax layer, watched in training, %"),
    ):
        own = [name for name in names if name.startswith(f"{kind}/")]
        if own:
            rows = [(name.partition("/")[2].replace("_", " "), [mean_of(records, name)]) for name in own]
            found.append((caption, ["mean over seeds"], rows))
    return found


@dataclass(frozen=True, slots=True)
class Source:
    """What data the numbers of a page are from."""

    synthetic: bool
    """True when every measured number is from synthetic data."""
    text: str


def source(records: Sequence[Record]) -> Source:
    """The first line of a page."""
    if not records:
        return Source(False, "Nothing has been measured yet: every number below is the paper's.")
    made = sorted({record.data for record in records if record.synthetic})
    real = sorted({_real(record) for record in records if not record.synthetic})
    if not real:
        return Source(
            True,
            "Synthetic data: none of the measured numbers below answers a printed one. They are from "
            + " and ".join(name.replace("_", " ") for name in made)
            + ", drawn by fgbench, and from small networks trained here.",
        )
    text = "Measured on " + "; ".join(real) + "."
    if made:
        text += " Some runs are on synthetic data; their numbers are marked and answer no printed one."
    return Source(False, text)


def _real(record: Record) -> str:
    protocol = record.protocol
    images = next((d.run for d in record.deviations if d.field == "data.images"), "the official bytes")
    count = f"{protocol['train_images']:,} + {protocol['test_images']:,} images of {protocol['classes']} classes"
    return f"{record.data} ({count}; {images})"


def latest(records: Sequence[Record]) -> Record:
    """The one that was finished last."""
    return max(records, key=lambda record: str(record.provenance.get("finished") or ""))


def period(records: Sequence[Record]) -> str:
    """From the first to the last record."""
    times = sorted(str(record.provenance["finished"]) for record in records if record.provenance.get("finished"))
    return " to ".join(dict.fromkeys((times[0], times[-1]))) if times else NONE
