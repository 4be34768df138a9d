"""The report as web pages. They depend only on papers, verdicts, claims, records and their files."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from fgbench.judge.anomaly import Anomalies, ReadOutputs
from fgbench.judge.claims import ClaimResult
from fgbench.judge.frames import setting_text
from fgbench.judge.reason_words import short_reason
from fgbench.judge.seed_interval import seed_interval
from fgbench.judge.sensitivity import Bounds
from fgbench.judge.verdict import Verdict
from fgbench.papers.printed import Paper
from fgbench.papers.recipes import load_recipes
from fgbench.records.deviations import measured_effect
from fgbench.records.record import Record, by_identity
from fgbench.report import formatting
from fgbench.report.html import printed_cells, run_groups, run_values
from fgbench.report.html.charts import LIBRARY, library
from fgbench.report.html.cost_page import cost_page
from fgbench.report.html.listed_runs import listed_groups
from fgbench.report.html.method_pages import method_pages
from fgbench.report.html.overview import matrix, overview_page
from fgbench.report.html.pages import SCRIPT, Page, address, is_web, navigation
from fgbench.report.html.paper_page import paper_page, run_addresses, shown_groups
from fgbench.report.html.provenance_page import provenance_pages
from fgbench.report.html.reid_page import reid_pages
from fgbench.report.html.speed_page import FILTERS, SpeedPage, speed_pages
from fgbench.report.html.strip import any_cut, axis_end, axis_ticks, difference_strip
from fgbench.report.names import method_name, paper_name
from fgbench.report.photographs import Photographs
from fgbench.util.counted import counted
from fgbench.util.files import write_text


def render(
    papers: Mapping[str, Paper],
    verdicts: Mapping[str, Sequence[Verdict]],
    claims: Sequence[ClaimResult],
    records: Sequence[Record],
    folder: Path,
    pictures: Mapping[str, Mapping[str, bytes]] | None = None,
    speed: SpeedPage | None = None,
    anomalies: Anomalies | None = None,
    outputs: ReadOutputs = lambda record: {},
    extra_pages: Sequence[Page] = (),
    left_out: Sequence[str] = (),
    bounds: Bounds | None = None,
    photographs: Photographs | None = None,
) -> Path:
    """Write the pages into a folder.

    Args:
        papers: by id.
        verdicts: by id of the paper, one per cell, in the order of the paper.
        claims: of all papers.
        records: all records.
        folder: made if it does not exist.
        pictures: run id -> kind -> JPEG.
        speed: data of the page on speed.
        anomalies: run id -> anomalies of the record.
        outputs: returns the per-sample arrays of a record; called for a few records.
        extra_pages: pages beside those of records and benchmarks.
        left_out: a sentence for each record that was not used.
        bounds: result of `fgbench.judge.sensitivity.find_bounds`.
        photographs: the data sets on this machine; None to leave photographs of mistakes out.

    Returns:
        Path of the first page.
    """
    pictures, anomalies = pictures or {}, anomalies or {}
    all_groups = by_identity(records)
    shown = {name: shown_groups(name, verdicts[name], all_groups) for name in papers}
    linked = {run_id for bound in (bounds or {}).values() for run_id in bound.run_ids}
    groups = listed_groups(all_groups, (group for of_paper in shown.values() for group in of_paper), linked)
    not_listed = len(all_groups) - len(groups)
    if not_listed:
        records = [record for group in groups for record in group]
    addresses = run_addresses(shown, records)
    # The pages in the order of the navigation; a new page needs a line here.
    all_verdicts = [verdict for of_paper in verdicts.values() for verdict in of_paper]
    pages = [overview_page(papers, verdicts, claims, groups, addresses, anomalies, not_listed)]
    for row, (name, paper) in zip(matrix(papers, verdicts), papers.items(), strict=False):
        pages.append(paper_page(paper, row, verdicts[name], claims, shown[name], groups, bounds, papers))
    pages += method_pages(all_verdicts, load_recipes(), groups, pictures, outputs, photographs)
    pages.append(cost_page(groups, speed))
    pages += reid_pages(groups, pictures)
    pages += speed_pages(speed)
    pages += extra_pages
    pages += provenance_pages(records, left_out)
    # Variables of every template.
    common = {
        "papers": papers,
        "pictures": pictures,
        "speed": speed,
        "anomalies": anomalies,
        "addresses": addresses,
        "unusable_records": left_out,
        "script": SCRIPT,
        "navigation": navigation(pages),
    }
    environment = _environment()
    for page in pages:
        template = environment.get_template(page.template)
        write_text(folder / page.file, template.render(**common, page=page, **page.context))
    write_text(folder / LIBRARY, library())
    return folder / "index.html"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("fgbench.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": formatting.number,
        "printed": formatting.printed,
        "jpeg": _jpeg_url,
        "webp": _webp_url,
        **FILTERS,
    }
    environment.filters |= {"address": address, "is_web": is_web}
    environment.filters |= {"setting": setting_text, "measured_effect": measured_effect}
    environment.filters |= {"paper_name": paper_name, "method_name": method_name, "breakable": _breakable}
    environment.globals |= {
        "counted": counted,
        "formatting": formatting,
        "printed_cells": printed_cells,
        "run_groups": run_groups,
        "run_values": run_values,
        "seed_interval": seed_interval,
        "short_reason": short_reason,
        "any_cut": any_cut,
        "axis_end": axis_end,
        "axis_ticks": axis_ticks,
        "difference_strip": difference_strip,
    }
    return environment


def _breakable(name: str) -> Markup:
    """Return the name of a run as HTML whose line may end after the colon of a network."""
    return Markup(str(escape(name)).replace(":", ":<wbr>"))


def _jpeg_url(image: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"


def _webp_url(image: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(image).decode()}"
