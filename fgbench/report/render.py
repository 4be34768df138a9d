"""The pages: an index, and one a paper. A pure function of papers, verdicts and records."""

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
    """Write `index.html`, `<paper>.html`, and `speed.html` where there are benchmarks, into a folder.

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
    pages = _environment()
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
    for name, paper in papers.items():
        used = {record.run_id: record for verdict in verdicts[name] for record in verdict.records}
        own = [result for result in claims if any(result.claim is claim for claim in paper.claims)]
        runs = [group for group in by_identity(records) if group[0].run_id in used or group[0].recipe_paper == name]
        text = pages.get_template("paper.html.j2").render(
            **common, paper=paper, source=model.source(list(used.values())), claims=own, own_runs=runs
        )
        write_text(out / f"{name}.html", text)
    if speed is not None:
        write_text(out / "speed.html", pages.get_template("speed.html.j2").render(**common, source=speed.source))
    index = out / "index.html"
    write_text(
        index,
        pages.get_template("index.html.j2").render(
            **common, source=model.source(records), claims=claims, records=records, runs=by_identity(records)
        ),
    )
    return index


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
