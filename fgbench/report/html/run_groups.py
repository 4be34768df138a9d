"""Groups of runs that differ only in their seed, for charts and tables: order, names, and one protocol each."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fgbench.judge.anomaly import Anomalies, Anomaly
from fgbench.judge.run_choice import run_sort_key
from fgbench.records.record import Record
from fgbench.report.html.charts import Chart
from fgbench.util.counted import counted

RunGroup = Sequence[Record]
"""Records that differ only in their seed."""
MAX_TABLE_ROWS = 60
"""Rows of a table; a results folder may have thousands of runs, and the overview lists all of them."""


@dataclass(frozen=True, slots=True)
class ChartSection:
    """Charts of one protocol."""

    caption: str
    """Description of the protocol."""
    charts: tuple[Chart, ...]
    note: str = ""
    """Runs that are not drawn."""


def sort_groups(groups: Iterable[RunGroup]) -> list[RunGroup]:
    """Sort groups: closest to the conditions of the papers, real data before synthetic, most seeds, latest."""
    return sorted(groups, key=run_sort_key, reverse=True)


def by_protocol(groups: Iterable[RunGroup]) -> list[tuple[str, list[RunGroup]]]:
    """Return the description of each protocol with its groups."""
    by_hash: dict[str, list[RunGroup]] = {}
    for group in groups:
        by_hash.setdefault(group[0].protocol_hash, []).append(group)
    return [(protocol_text(same[0][0]), same) for same in by_hash.values()]


def protocol_text(record: Record) -> str:
    """Return the data, the inputs of the method, the control and the hash of the protocol of a record."""
    protocol = record.protocol
    control = f"; control: {protocol['control']}" if record.control else ""
    inputs = "; methods see " + ", ".join(seen) if (seen := method_inputs(record)) else ""
    images = (
        f"{protocol['train_images']:,} training and {protocol['test_images']:,} test images "
        f"of {protocol['classes']:,} classes"
    )
    return f"{record.data_title}, {images}{inputs}{control}. Protocol {record.protocol_hash}."


def method_inputs(record: Record) -> list[str]:
    """Return the annotations that the method gets in training and in test, beside the class labels."""
    protocol = record.protocol
    phases = (("train_sees", "training"), ("test_sees", "test"))
    return [f"{' and '.join(protocol[key])} in {phase}" for key, phase in phases if protocol[key]]


def protocol_sections(groups: Iterable[RunGroup], limit: int) -> tuple[list[tuple[str, list[RunGroup]]], str]:
    """Return the first protocols with their groups, and a note on the protocols beyond the limit."""
    protocols = by_protocol(sort_groups(groups))
    rest = len(protocols) - limit
    if rest <= 0:
        return protocols, ""
    return protocols[:limit], f"Runs of {rest} more protocol{'s' if rest > 1 else ''} are not drawn."


def table_groups(groups: Sequence[RunGroup]) -> tuple[Sequence[RunGroup], str]:
    """Return the first groups, as many as a table has rows, and a note on the others."""
    rest = len(groups) - MAX_TABLE_ROWS
    if rest <= 0:
        return groups[:MAX_TABLE_ROWS], ""
    verb = "is" if rest == 1 else "are"
    return groups[:MAX_TABLE_ROWS], f"{counted(rest, 'more run')} of this protocol {verb} in the overview."


def named_groups(groups: Sequence[RunGroup]) -> list[tuple[str, RunGroup]]:
    """Return groups with unique names, by name: the title, the profile if profiles differ, else the id of the run."""
    profiles = {group[0].profile for group in groups}
    names = [
        group[0].title
        + (f", {group[0].profile}" if len(profiles) > 1 else "")
        + (", control" if group[0].control else "")
        for group in groups
    ]
    count = Counter(names)
    pairs = [
        (name if count[name] == 1 else f"{name} ({group[0].identity[:6]})", group)
        for name, group in zip(names, groups, strict=True)
    ]
    return sorted(pairs, key=lambda pair: pair[0])


def anomalies_of(group: RunGroup, anomalies: Anomalies) -> list[Anomaly]:
    """Return the distinct anomalies of the runs of a group."""
    return list(dict.fromkeys(anomaly for record in group for anomaly in anomalies.get(record.run_id, ())))


def latest_record(records: Sequence[Record]) -> Record:
    """Return the record that finished last."""
    return max(records, key=lambda record: record.finished)
