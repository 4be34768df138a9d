"""The pages of the report. A pure function of papers, verdicts and records."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from fgbench.anomalies import Anomalies
from fgbench.claims import ClaimResult
from fgbench.files import write_text
from fgbench.papers import Paper
from fgbench.records import Record, by_identity
from fgbench.report import model
from fgbench.report.cmc import cmc_curve
from fgbench.report.curve import learning_curve
from fgbench.report.pages import Page, navigation
from fgbench.report.scaling import scaling_curve
from fgbench.report.speed import FILTERS, SpeedPage
from fgbench.verdict import Verdict, name_of


def render(
    papers: Mapping[str, Paper],
    verdicts: Mapping[str, Sequence[Verdict]],
    claims: Sequence[ClaimResult],
    records: Sequence[Record],
    out: Path,
    pictures: Mapping[str, Mapping[str, bytes]] | None = None,
    speed: SpeedPage | None = None,
    anomalies: Anomalies | None = None,
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

    Returns:
        The index page.
    """
    common = {
        "papers": papers,
        "verdicts": verdicts,
        "m": model,
        "curve": learning_curve,
        "cmc": cmc_curve,
        "name_of": name_of,
        "pictures": pictures or {},
        "speed": speed,
        "scaling": scaling_curve,
        "anomalies": anomalies or {},
    }
    runs = by_identity(records)
    # Every page of the report: who adds one adds it here, and the navigation of all pages has it.
    pages = [
        Page(
            "index",
            "Overview",
            "index.html.j2",
            model.source(records),
            context={"claims": claims, "records": records, "runs": runs},
        ),
        *(_paper_page(paper, verdicts[name], claims, runs) for name, paper in papers.items()),
    ]
    if speed is not None:
        pages.append(Page("speed", "Speed", "speed.html.j2", speed.source))
    environment = _environment()
    listed = navigation(pages)
    for page in pages:
        template = environment.get_template(page.template)
        write_text(out / page.address, template.render(**common, pages=listed, page=page, **page.context))
    return out / "index.html"


def _paper_page(
    paper: Paper, verdicts: Sequence[Verdict], claims: Sequence[ClaimResult], runs: Sequence[Sequence[Record]]
) -> Page:
    used = {record.run_id: record for verdict in verdicts for record in verdict.records}
    own = [result for result in claims if any(result.claim is claim for claim in paper.claims)]
    shown = [group for group in runs if group[0].run_id in used or group[0].recipe_paper == paper.id]
    return Page(
        paper.id,
        paper.id.replace("_", " "),
        "paper.html.j2",
        model.source(list(used.values())),
        group="Papers",
        context={"paper": paper, "claims": own, "own_runs": shown},
    )


def _data_address(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _environment() -> Environment:
    pages = Environment(
        loader=PackageLoader("fgbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"number": model.number, "printed": model.printed, "jpeg": _data_address, **FILTERS}
    return pages
