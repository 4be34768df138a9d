"""The pages of the report. A pure function of papers, verdicts and records."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from fgbench.judge.anomalies import Anomalies
from fgbench.judge.claims import ClaimResult
from fgbench.judge.frames import setting_text
from fgbench.judge.verdict import Verdict, best_runs, cell_value_name
from fgbench.papers.printed import Paper
from fgbench.papers.recipes import load_recipes
from fgbench.records.phases import phases_of
from fgbench.records.record import Record, by_identity
from fgbench.report import formatting
from fgbench.report.html import model
from fgbench.report.html.charts import LIBRARY, library
from fgbench.report.html.cmc_curve import cmc_curve
from fgbench.report.html.confusions import Outputs
from fgbench.report.html.cost_page import cost_page
from fgbench.report.html.loss_curve import learning_curve
from fgbench.report.html.method_pages import method_pages
from fgbench.report.html.overview import matrix, next_steps, place, run_line
from fgbench.report.html.pages import SCRIPT, Page, address, is_web, navigation
from fgbench.report.html.provenance_page import provenance_page
from fgbench.report.html.reid_page import reid_page
from fgbench.report.html.scaling_curve import scaling_curve
from fgbench.report.html.speed_page import FILTERS, SpeedPage
from fgbench.report.html.strip import reach, strip
from fgbench.util.files import write_text


def render(
    papers: Mapping[str, Paper],
    verdicts: Mapping[str, Sequence[Verdict]],
    claims: Sequence[ClaimResult],
    records: Sequence[Record],
    out: Path,
    pictures: Mapping[str, Mapping[str, bytes]] | None = None,
    speed: SpeedPage | None = None,
    anomalies: Anomalies | None = None,
    outputs: Outputs = lambda record: {},
    more: Sequence[Page] = (),
) -> Path:
    """Write the pages into a folder.

    Args:
        papers: by id.
        verdicts: by id of the paper, one a cell, in the paper's order.
        claims: of all papers.
        records: every record at hand.
        out: the folder; made if need be.
        pictures: run id -> kind -> JPEG, for the runs that left some.
        speed: what the page on speed shows.
        anomalies: run id -> what is odd about it.
        outputs: gives the per-sample arrays of a record; asked for few of them.
        more: pages beside those of records and benchmarks.

    Returns:
        The index page.
    """
    runs = by_identity(records)
    odd = anomalies or {}
    shown = {name: _shown(name, verdicts[name], runs) for name in papers}
    addresses = _addresses(shown, records)
    common = {
        "papers": papers,
        "verdicts": verdicts,
        "m": model,
        "curve": learning_curve,
        "cmc": cmc_curve,
        "name_of": cell_value_name,
        "phases_of": phases_of,
        "pictures": pictures or {},
        "speed": speed,
        "scaling": scaling_curve,
        "anomalies": odd,
        "addresses": addresses,
        "script": SCRIPT,
    }
    lines = matrix(papers, verdicts)
    rows = [
        (protocol, [run_line(group, addresses[group[0].run_id], odd) for group in own])
        for protocol, own in model.by_protocol(runs)
    ]
    overview = {"claims": claims, "records": records, "runs": rows, "matrix": lines, "steps": next_steps(verdicts)}
    # Every page of the report: who adds one adds it here, and the navigation of all pages has it.
    pages = [Page("index", "Overview", "index.html.j2", model.source(records), context=overview)]
    for line, (name, paper) in zip(lines, papers.items(), strict=False):
        used = [record for verdict in verdicts[name] for record in verdict.records]
        own = [result for result in claims if any(result.claim is claim for claim in paper.claims)]
        left_out = _of_paper(name, runs) - _of_paper(name, shown[name])
        context = {"paper": paper, "claims": own, "own_runs": shown[name], "line": line, "left_out": left_out}
        title = name.replace("_", " ")
        pages.append(Page(name, title, "paper.html.j2", model.source(used), group="Papers", context=context))
    pages += method_pages([v for own in verdicts.values() for v in own], load_recipes(), runs, pictures or {}, outputs)
    pages.append(cost_page(runs, speed))
    pages += reid_page(runs, pictures or {})
    if speed is not None:
        pages.append(Page("speed", "Speed", "speed.html.j2", speed.source))
    pages += more
    if records:
        told = {"provenance": provenance_page(records)}
        pages.append(Page("provenance", "Provenance", "provenance.html.j2", model.source(records), context=told))
    environment = _environment()
    listed = navigation(pages)
    for page in pages:
        template = environment.get_template(page.template)
        write_text(out / page.file, template.render(**common, pages=listed, page=page, **page.context))
    write_text(out / LIBRARY, library())
    return out / "index.html"


def _shown(name: str, verdicts: Sequence[Verdict], runs: Sequence[Sequence[Record]]) -> list[Sequence[Record]]:
    """The runs that the page of a paper unfolds: those behind its cells, and the best of each of its recipes.

    Not all of them: a store of some nights holds thousands, and they stand in the overview.
    """
    kept = {record.run_id for verdict in verdicts for record in verdict.records}
    alike: dict[tuple[str, ...], list[Record]] = {}
    for group in runs:
        first = group[0]
        if first.recipe_paper == name:
            alike.setdefault((first.recipe, first.profile, first.protocol_hash), []).extend(group)
    kept |= {record.run_id for each in alike.values() for record in best_runs(each)}
    return [group for group in runs if any(record.run_id in kept for record in group)]


def _of_paper(name: str, runs: Sequence[Sequence[Record]]) -> int:
    return sum(group[0].recipe_paper == name for group in runs)


def _addresses(shown: Mapping[str, Sequence[Sequence[Record]]], records: Sequence[Record]) -> dict[str, str]:
    """Where each run is told in full: on the page of its paper, else of another, else by its provenance."""
    found = {record.run_id: f"provenance.html#r-{record.run_id}" for record in records}
    for own in (False, True):
        for name, groups in shown.items():
            for group in groups:
                if not own or group[0].recipe_paper == name:
                    anchor = f"{address(name)}#run-{group[0].identity}"
                    found |= dict.fromkeys((record.run_id for record in group), anchor)
    return found


def _data_address(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _environment() -> Environment:
    pages = Environment(
        loader=PackageLoader("fgbench.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"number": formatting.number, "printed": formatting.printed, "jpeg": _data_address, **FILTERS}
    pages.filters |= {"address": address, "is_web": is_web, "word": setting_text}
    pages.globals |= {"formatting": formatting, "place": place, "strip": strip, "reach": reach}
    return pages
