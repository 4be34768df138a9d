"""A page per paper: its tables cell by cell, the runs behind the cells, deviations and claims."""

from collections.abc import Mapping, Sequence

from fgbench.judge.citations import counted_once
from fgbench.judge.claims import ClaimResult
from fgbench.judge.external_verdicts import with_external
from fgbench.judge.margin_test import points
from fgbench.judge.other_margins import at_other_margins
from fgbench.judge.run_choice import best_runs
from fgbench.judge.sensitivity import Bounds, DataBound, bound_for
from fgbench.judge.verdict import Outcome, Verdict, cell_value_name
from fgbench.papers.printed import Paper
from fgbench.records.gpu_fields import head_features_text
from fgbench.records.phases import phases_of
from fgbench.records.record import Record
from fgbench.report.html.data_origin import data_origin
from fgbench.report.html.learning_curves import learning_text
from fgbench.report.html.margin_section import (
    changes_at_other_margins,
    listed_rows,
    margin_anchor,
    margin_origin,
    margin_sentences,
    other_margin_text,
)
from fgbench.report.html.method_pages import method_page_name
from fgbench.report.html.overview import MatrixRow
from fgbench.report.html.pages import Page, address
from fgbench.report.html.printed_cells import paper_deviations
from fgbench.report.html.run_groups import RunGroup
from fgbench.report.html.run_values import value_tables
from fgbench.report.names import paper_name


def paper_page(
    paper: Paper,
    row: MatrixRow,
    verdicts: Sequence[Verdict],
    claims: Sequence[ClaimResult],
    shown: Sequence[RunGroup],
    groups: Sequence[RunGroup],
    bounds: Bounds | None = None,
    papers: Mapping[str, Paper] | None = None,
) -> Page:
    """Return the page of a paper.

    Args:
        paper: the paper.
        row: its outcomes.
        verdicts: on its cells.
        claims: of all papers.
        shown: groups of `shown_groups`.
        groups: all records by group.
        bounds: result of `fgbench.judge.sensitivity.find_bounds`.
        papers: all papers, by id.
    """
    papers = papers or {paper.id: paper}
    own = counted_once(verdicts)

    def bound_of(verdict: Verdict) -> DataBound | None:
        return bound_for(verdict.records, cell_value_name(verdict.cell), bounds or {})

    context = {
        "paper": paper,
        "row": row,
        "verdicts": verdicts,
        "deviations": paper_deviations(verdicts),
        "claims": [result for result in claims if any(result.claim is claim for claim in paper.claims)],
        "groups": shown,
        "left_out": _runs_of(paper.id, groups) - _runs_of(paper.id, shown),
        "value_name": cell_value_name,
        "bound_of": bound_of,
        "margin_sentences": margin_sentences([v.cell for v in own if v.outcome != Outcome.CONTEXT], papers),
        "margin_origin": lambda cell: margin_origin(cell, papers),
        "margin_changes": changes_at_other_margins(own, bound_of),
        "margin_anchor": margin_anchor,
        "listed_rows": listed_rows,
        "at_other_margins": at_other_margins,
        "other_margin_text": other_margin_text,
        "points": points,
        "with_external": with_external,
        "value_tables": value_tables,
        "phases_of": phases_of,
        "head_features_text": head_features_text,
        "learning_text": learning_text,
        "method_page_name": method_page_name,
    }
    records = [record for verdict in verdicts for record in verdict.records]
    return Page(paper.id, paper_name(paper.id), "paper.html.j2", data_origin(records), "Papers", context)


def _runs_of(paper: str, groups: Sequence[RunGroup]) -> int:
    return sum(group[0].recipe_paper == paper for group in groups)


def shown_groups(paper: str, verdicts: Sequence[Verdict], groups: Sequence[RunGroup]) -> list[RunGroup]:
    """Return the groups on the page of a paper: those behind its cells, and the best of each of its recipes.

    A results folder of many nights has thousands of runs.

    Args:
        paper: id of the paper.
        verdicts: on its cells.
        groups: all records by group.
    """
    run_ids = {record.run_id for verdict in with_external(verdicts) for record in verdict.records}
    same_conditions: dict[tuple[str, str, str], list[Record]] = {}
    for group in groups:
        first = group[0]
        if first.recipe_paper == paper:
            same_conditions.setdefault((first.recipe, first.profile, first.protocol_hash), []).extend(group)
    run_ids |= {record.run_id for records in same_conditions.values() for record in best_runs(records)}
    return [group for group in groups if any(record.run_id in run_ids for record in group)]


def run_addresses(shown: Mapping[str, Sequence[RunGroup]], records: Sequence[Record]) -> dict[str, str]:
    """Return the link to the details of each run: on the page of its paper, else of another paper, else provenance.

    Args:
        shown: id of the paper -> groups on its page.
        records: all records.
    """
    addresses = {record.run_id: f"provenance.html#r-{record.run_id}" for record in records}
    for only_same_paper in (False, True):
        for paper, groups in shown.items():
            for group in groups:
                if not only_same_paper or group[0].recipe_paper == paper:
                    anchor = f"{address(paper)}#run-{group[0].identity}"
                    addresses |= dict.fromkeys((record.run_id for record in group), anchor)
    return addresses
