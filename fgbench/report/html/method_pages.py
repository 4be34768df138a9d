"""A page per method: its runs on every data set, learning curves, confusions, parts, and its printed numbers."""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from fgbench.judge.anomaly import ReadOutputs
from fgbench.judge.verdict import Outcome, Verdict, recipe_key
from fgbench.papers.recipes import Recipe
from fgbench.records.external import EXTERNAL
from fgbench.report.formatting import BADGES
from fgbench.report.html.charts import MAX_SERIES, Axis, Chart
from fgbench.report.html.confusions import ConfusedClasses, Confusions, confusion_charts, read_confusions
from fgbench.report.html.data_origin import data_origin
from fgbench.report.html.figures import RangePoint, dot_chart
from fgbench.report.html.learning_curves import learning_sections
from fgbench.report.html.mistakes import MAX_MISTAKES, MistakeSection, mistake_section
from fgbench.report.html.overview import OUTCOMES, OutcomeCount
from fgbench.report.html.pages import Page
from fgbench.report.html.printed_cells import DeviationEntry, method_deviations
from fgbench.report.html.run_groups import (
    ChartSection,
    RunGroup,
    by_protocol,
    named_groups,
    protocol_sections,
    sort_groups,
    table_groups,
)
from fgbench.report.html.run_values import mean_and_interval
from fgbench.report.names import method_name
from fgbench.report.photographs import Photographs
from fgbench.util.hashing import hash_value

MAX_PROTOCOLS = 3
"""Protocols of a page with charts of confusions and parts."""
MAX_PICTURES = 4
"""Runs of a page with pictures."""
PARTS = {
    "pck@0.10": ("Keypoints within 0.10 of the longer side of the box (PCK)", "correct, %"),
    "pcp": ("Parts with an IoU over 0.5 (PCP)", "correct, %"),
    "attention": ("Attention at each part", "attention, relative to the mean of the image"),
}
"""Kind of value -> title and axis of its chart."""


@dataclass(frozen=True, slots=True)
class ConfusionSection:
    """Confusions of one group of runs."""

    section: ChartSection
    title: str
    """Name of the runs and their seeds."""
    pairs: tuple[ConfusedClasses, ...]
    mistakes: MistakeSection


@dataclass(frozen=True, slots=True)
class RunPictures:
    """Pictures of one run."""

    title: str
    data: str
    pictures: Mapping[str, bytes]
    """Kind -> JPEG."""


@dataclass(frozen=True, slots=True)
class MethodPage:
    """Contents of the page of a method."""

    name: str
    about: str
    """First line of the docstring of the method."""
    verdicts: tuple[Verdict, ...]
    """Verdicts on its cells in all papers; a number that one paper cites from another one occurs once."""
    groups: tuple[RunGroup, ...]
    """All its runs."""
    tables: tuple[tuple[str, list[tuple[str, RunGroup]]], ...]
    """Description of each protocol, and its groups with their names."""
    pictures: tuple[RunPictures, ...]
    learning: tuple[ChartSection, ...]
    confusions: tuple[ConfusionSection, ...]
    parts: tuple[ChartSection, ...]
    deviations: tuple[DeviationEntry, ...]

    @property
    def counts(self) -> list[OutcomeCount]:
        """Number of its cells by outcome, without the outcomes that no cell has."""
        outcomes = [verdict.outcome for verdict in self.verdicts]
        return [
            OutcomeCount(BADGES[outcome], outcomes.count(outcome), outcomes.count(outcome) / len(outcomes), "")
            for outcome in OUTCOMES
            if outcome in outcomes
        ]

    @property
    def any_energy(self) -> bool:
        """True if the energy of a run was measured."""
        return any(record.cost.energy_j is not None for group in self.groups for record in group)

    @property
    def has_reid(self) -> bool:
        """True if a run was on re-identification."""
        return any("cmc@1" in group[0].values for group in self.groups)


def method_pages(
    verdicts: Sequence[Verdict],
    recipes: Mapping[str, Recipe],
    groups: Sequence[RunGroup],
    pictures: Mapping[str, Mapping[str, bytes]],
    outputs: ReadOutputs,
    photographs: Photographs | None = None,
) -> list[Page]:
    """Return a page for each method of a recipe or a record, by name.

    Args:
        verdicts: on the cells of all papers.
        recipes: by key.
        groups: all records by group.
        pictures: run id -> kind -> JPEG.
        outputs: returns the per-sample arrays of a record; called for a few records.
        photographs: the data sets on this machine; None to leave photographs of mistakes out.
    """
    names = sorted({recipe.method for recipe in recipes.values()} | {group[0].method for group in groups})
    pages = []
    for name in names:
        of_method = sort_groups(group for group in groups if group[0].method == name)
        records = [record for group in of_method for record in group]
        cells = [verdict for verdict in verdicts if _method_of(verdict, recipes) == name]
        behind_cells = {record.run_id for verdict in cells for record in verdict.records}
        method = MethodPage(
            name=name,
            about=_first_docstring_line(name),
            verdicts=tuple(cells),
            groups=tuple(of_method),
            tables=tuple(_table(caption, same) for caption, same in by_protocol(of_method)),
            pictures=tuple(_run_pictures(of_method, pictures)),
            learning=tuple(learning_sections(of_method)),
            confusions=tuple(_confusion_sections(of_method, behind_cells, outputs, photographs)),
            parts=tuple(_part_sections(of_method)),
            deviations=tuple(method_deviations(records, cells)),
        )
        title, context = method_name(name), {"method": method}
        page = Page(method_page_name(name), title, "method.html.j2", data_origin(records), "Methods", context)
        pages.append(page if records else replace(page, listed=False))
    return pages


def method_page_name(method: str) -> str:
    """Return the name of the page of a method; it has a hash if the name of the method is no valid file name."""
    return f"method-{method if re.fullmatch('[A-Za-z0-9_-]{1,60}', method) else hash_value(method)}"


def _method_of(verdict: Verdict, recipes: Mapping[str, Recipe]) -> str:
    recipe = recipes.get(recipe_key(verdict.cell))
    is_counted = verdict.outcome != Outcome.CONTEXT and not verdict.cell.cites
    return recipe.method if recipe and is_counted else ""


def _first_docstring_line(name: str) -> str:
    """First line of the docstring of a method; empty if the method is not installed."""
    from fgbench.methods import methods

    if name == EXTERNAL:
        return "Predictions that were made outside fgbench; their method is not known."
    text = methods[name].__doc__ if name in methods else ""
    return (text or "").strip().partition("\n")[0]


def _table(caption: str, groups: Sequence[RunGroup]) -> tuple[str, list[tuple[str, RunGroup]]]:
    kept, more = table_groups(groups)
    return f"{caption} {more}".strip(), named_groups(kept)


def _run_pictures(groups: Sequence[RunGroup], pictures: Mapping[str, Mapping[str, bytes]]) -> list[RunPictures]:
    """Pictures of the first run of each title and data set; the page on re-identification has those of galleries."""
    by_data: dict[str, list[RunGroup]] = {}
    for group in groups:
        by_data.setdefault(group[0].data, []).append(group)
    names = {group[0].identity: name for same_data in by_data.values() for name, group in named_groups(same_data)}
    shown: dict[tuple[str, str], RunPictures] = {}
    for first in (group[0] for group in groups if not group[0].control):
        if (first.title, first.data) in shown or len(shown) == MAX_PICTURES:
            continue
        of_run = {kind: image for kind, image in pictures.get(first.run_id, {}).items() if kind != "searches"}
        if of_run:
            title = f"{names[first.identity]}, seed {first.seed}"
            shown[first.title, first.data] = RunPictures(title, first.data_title, of_run)
    return list(shown.values())


def _confusion_sections(
    groups: Sequence[RunGroup], behind_cells: Set[str], outputs: ReadOutputs, photographs: Photographs | None
) -> list[ConfusionSection]:
    """Confusions of one group per protocol: a group behind a printed cell if there is one, else the first.

    Args:
        groups: runs of a method in the order of `sort_groups`.
        behind_cells: ids of the runs behind printed cells.
        outputs: returns the per-sample arrays of a record.
        photographs: as for `method_pages`.
    """
    with_accuracy = [group for group in groups if "accuracy" in group[0].values and not group[0].control]
    protocols, note = protocol_sections(with_accuracy, MAX_PROTOCOLS)
    read: list[tuple[str, list[RunGroup], RunGroup, Confusions]] = []
    for caption, same in protocols:
        group = max(same, key=lambda group: group[0].run_id in behind_cells)  # `max` returns the first of equals.
        if confusions := read_confusions(group, outputs):
            read.append((caption, same, group, confusions))
    sections = []
    for caption, same, group, confusions in read:
        name = next(name for name, named in named_groups(same) if named is group)
        title = f"{name}, seed{'s' if len(confusions.seeds) > 1 else ''} {', '.join(map(str, confusions.seeds))}"
        if len(same) > 1:
            title += f"; {len(same) - 1} more run{'s' if len(same) > 2 else ''} of this protocol not shown"
        section = ChartSection(caption, confusion_charts(confusions), note if caption == protocols[-1][0] else "")
        # All sections of a page together have `MAX_MISTAKES`.
        shown = confusions.mistakes[: MAX_MISTAKES // len(read)]
        mistakes = mistake_section(confusions.first, shown, confusions.classes, photographs)
        sections.append(ConfusionSection(section, title, tuple(confusions.pairs), mistakes))
    return sections


def _part_sections(groups: Sequence[RunGroup]) -> list[ChartSection]:
    """Charts of the values of each part, by protocol."""
    with_parts = [group for group in groups if any(_part_kind(value) in PARTS for value in group[0].values)]
    protocols, note = protocol_sections(with_parts, MAX_PROTOCOLS)
    sections = []
    for caption, same in protocols:
        charts = [chart for kind in PARTS if (chart := _part_chart(same[:MAX_SERIES], kind))]
        sections.append(ChartSection(caption, tuple(charts), note if caption == protocols[-1][0] else ""))
    return sections


def _part_chart(groups: Sequence[RunGroup], kind: str) -> Chart | None:
    title, axis = PARTS[kind]
    points = []
    for name, group in named_groups(groups):
        for value in group[0].values:
            if _part_kind(value) == kind and (numbers := mean_and_interval(group, value)):
                points.append(RangePoint(name, value.partition("/")[2], *numbers))
    if not points:
        return None
    lowest, highest = (end(points, key=lambda point: point.mean) for end in (min, max))
    label = f"{axis}: from {lowest.mean:.3g} for {lowest.name} to {highest.mean:.3g} for {highest.name}."
    if axis.endswith("%"):
        return dot_chart(title, label, Axis(axis, 0, 100), points)
    return dot_chart(title, label, Axis(axis), points, reference=1.0)


def _part_kind(value: str) -> str:
    """`pck@0.10` for `pck@0.10/beak`; empty for a value that is not of a part."""
    kind, _, part = value.partition("/")
    return kind if part else ""
