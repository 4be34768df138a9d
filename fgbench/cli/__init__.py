"""The verbs of the command line, one function each; heavy libraries are imported inside, so that --help is quick."""

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from fgbench.util.errors import FgbenchError

app = typer.Typer(
    name="fgbench",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Does every number printed in a fine-grained recognition paper hold, here, today, and at what cost?",
)
data_app = typer.Typer(no_args_is_help=True, help="Get a data set, or check one that is here.")
weights_app = typer.Typer(no_args_is_help=True, help="Get the weights of a network, or list what is known.")
app.add_typer(data_app, name="data")
app.add_typer(weights_app, name="weights")

Folder = Annotated[Path, typer.Option("--results", help="Folder that keeps records and unfinished work.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RESULTS = Path("runs")
INTERRUPTED = 130
"""The exit code of typer after Ctrl-C."""


def main() -> None:
    """Run a verb; a user's mistake is told in a sentence, with exit code 2, never a traceback."""
    os.environ.setdefault("FGBENCH_COMMAND", shlex.join(["fgbench", *sys.argv[1:]]))
    try:
        app()
    except FgbenchError as error:
        typer.echo(f"fgbench: {error}", err=True)
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            typer.echo("\nfgbench: interrupted; the same command goes on from here", err=True)
        raise


def _version(value: bool) -> None:
    if value:
        from fgbench._version import __version__

        typer.echo(f"fgbench {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Does every number printed in a fine-grained recognition paper hold, here, today, and at what cost?"""


@app.command("list")
def list_(
    kind: Annotated[str, typer.Argument(help="papers, rows, cells, recipes, methods, data, or all.")] = "all",
    as_json: AsJson = False,
) -> None:
    """Papers, the rows and cells of their tables, recipes, methods and data sets."""
    from fgbench.cli.listing import catalogue, show_catalogue

    found = catalogue(kind)
    typer.echo(json.dumps(found, indent=1, ensure_ascii=False)) if as_json else show_catalogue(found)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """What can run here, what is missing, and the command that would get it."""
    from fgbench.cli.doctor import examine, show

    found = examine()
    typer.echo(json.dumps(found, indent=1, ensure_ascii=False)) if as_json else show(found)


@data_app.command("get")
def data_get(name: Annotated[str, typer.Argument(help="Data set, such as cub.")]) -> None:
    """Download the official archive (resumable, checksum verified) and unpack it."""
    from fgbench.cli.data import get_data

    typer.echo(f"{name} is at {get_data(name)}")


@data_app.command("check")
def data_check(name: Annotated[str, typer.Argument(help="Data set, such as cub.")], as_json: AsJson = False) -> None:
    """Decode every image and hold every annotation against the official one; exit code 1 when something is wrong."""
    from fgbench.cli.data import check_data

    raise typer.Exit(0 if check_data(name, as_json=as_json) else 1)


@weights_app.command("list")
def weights_list(as_json: AsJson = False) -> None:
    """Every weight file that recipes may name, and whether it is here."""
    from fgbench.cli.data import list_weights

    list_weights(as_json=as_json)


@weights_app.command("get")
def weights_get(name: Annotated[str, typer.Argument(help="Weight file, such as vgg16.matconvnet.")]) -> None:
    """Download the weights of a network from their official address, checksum verified."""
    from fgbench.backbones import get_weights

    typer.echo(f"{name} is at {get_weights(name)}")


Profile = Annotated[
    str, typer.Option(help="quick, frozen, paper, or auto (paper with a GPU and real data, else quick).")
]
Seeds = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How many seeds, from 0, where a run depends on them. [default: 3 under paper, else 1; or all splits]",
    ),
]
Jobs = Annotated[int | None, typer.Option(min=1, help="Runs at a time. [default: the cores under quick, else 1]")]
Executor = Annotated[str, typer.Option(help="local, or ray: on the nodes of a Ray cluster.")]
Address = Annotated[
    str | None,
    typer.Option(
        help="Of the Ray cluster: ray://host:10001 from any machine; host:6379, or auto, on one of its nodes. "
        "[default: auto]"
    ),
]
Cpus = Annotated[
    int | None, typer.Option(min=1, help="Ray: cores, and threads, of a run. [default: 1 under quick, else 4]")
]
Gpus = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="Ray: GPUs of a run; 0.5 lets two share one. [default: 1 if there are some, 0 under quick]"
    ),
]
Retries = Annotated[
    int | None, typer.Option(min=0, help="Ray: how often a run is done again when its node dies. [default: 3]")
]


@app.command()
def run(
    recipes: Annotated[list[str], typer.Argument(help="Recipes, such as bcnn/bcnn_dd; see `fgbench list recipes`.")],
    data: Annotated[str, typer.Option(help="Data set of the recipes.")] = "cub",
    profile: Profile = "auto",
    seeds: Seeds = None,
    classes: Annotated[int | None, typer.Option(min=2, help="Only the first classes: a deviation.")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Input size in pixels: a deviation.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Network for every stream, as network:tap: a deviation.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="32-true or bf16-mixed, for training: a deviation in rounding.")
    ] = None,
    shuffle_labels: Annotated[
        bool, typer.Option(help="Control: permute training labels (identities); must fall to chance.")
    ] = False,
    watch_test: Annotated[
        bool, typer.Option(help="Record test accuracy after each epoch, last and best; nothing is chosen by it.")
    ] = False,
    jobs: Jobs = None,
    executor: Executor = "local",
    address: Address = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    retries: Retries = None,
    results: Folder = RESULTS,
) -> None:
    """Run recipes and write their records; finished runs are kept, interrupted ones go on."""
    from fgbench.cli.run import Request, choose_cluster, run_recipes
    from fgbench.runs.planning import Changes

    cluster = choose_cluster(executor, jobs, address=address, cpus=cpus, gpus=gpus, retries=retries)
    changes = Changes(classes, size, shuffle_labels, backbone, precision, watch_test)
    raise typer.Exit(run_recipes(Request(data, tuple(recipes), profile, seeds, jobs, changes, cluster), results))


@app.command()
def reproduce(
    data: Annotated[str, typer.Argument(help="Data set, such as cub, or reid for those of re-identification.")],
    profile: Profile = "auto",
    seeds: Seeds = None,
    jobs: Jobs = None,
    executor: Executor = "local",
    address: Address = None,
    cpus: Cpus = None,
    gpus: Gpus = None,
    retries: Retries = None,
    results: Folder = RESULTS,
) -> None:
    """Run every recipe of a data set, judge every cell, and render the report."""
    from fgbench.cli.report import write_report
    from fgbench.cli.run import Request, choose_cluster, run_recipes

    cluster = choose_cluster(executor, jobs, address=address, cpus=cpus, gpus=gpus, retries=retries)
    code = run_recipes(Request(data, (), profile, seeds, jobs, cluster=cluster), results)
    typer.echo(f"report: {write_report(results, results / 'report')}")
    raise typer.Exit(code)


@app.command()
def report(
    results: Folder = RESULTS,
    out: Annotated[Path | None, typer.Option(help="Folder of the pages. [default: <results>/report]")] = None,
    benchmarks: Annotated[
        list[Path] | None, typer.Option(help="JSON of `pytest benchmarks`: adds a page on speed. May be repeated.")
    ] = None,
) -> None:
    """Render the report from the records at hand."""
    from fgbench.cli.report import write_report

    typer.echo(f"report: {write_report(results, out or results / 'report', benchmarks or ())}")


@app.command()
def export(
    table: Annotated[
        str,
        typer.Argument(help="values, runs, phases, differences, verdicts, cells; or a paper's tables: bcnn, bcnn/t1."),
    ],
    style: Annotated[
        str | None,
        typer.Option("--format", help="csv, parquet, json; latex or markdown, to be read. [default: by --out, or csv]"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write. [default: standard output]")] = None,
    results: Folder = RESULTS,
) -> None:
    """Write measured values, verdicts, or a paper's table beside what was measured, for a program or a paper."""
    from fgbench.report.tables import export as export_

    export_.export(table, results, style, out)


@app.command()
def verify(
    results: Annotated[Path, typer.Argument(help="Folder that keeps records, or folders with records.")] = RESULTS,
) -> None:
    """Recompute every value from its per-sample outputs; exit code 1 when one differs."""
    from fgbench.cli.report import verify_records

    raise typer.Exit(0 if verify_records(results) else 1)


Markdown = Annotated[Path | None, typer.Option("--markdown", help="Write a summary, such as $GITHUB_STEP_SUMMARY.")]


@app.command()
def compare(
    base: Annotated[Path, typer.Argument(help="Folder of results before.")],
    head: Annotated[Path, typer.Argument(help="Folder of results now.")],
    base_times: Annotated[
        list[Path] | None, typer.Option(help="JSON of `pytest benchmarks` before. [default: BASE/benchmarks*.json]")
    ] = None,
    head_times: Annotated[
        list[Path] | None, typer.Option(help="The same now; several are sessions of one night.")
    ] = None,
    markdown: Markdown = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML.")] = None,
    as_json: AsJson = False,
) -> None:
    """What got worse or better, is new, or was not run; exit code 1 when something is worse, changed or missing."""
    from fgbench.cli import nightly as verbs
    from fgbench.judge.nightly.nights import compare_folders

    result = compare_folders(base, head, base_times or (), head_times or ())
    verbs.write(result, to_markdown=markdown, to_junit=junit)
    typer.echo(verbs.as_json(result)) if as_json else verbs.show(result)
    raise typer.Exit(result.exit_code)


@app.command()
def nightly(
    results: Folder = RESULTS / "nightly",
    fixed: Annotated[
        Path | None, typer.Option(help="Fixed baseline of values, such as reports/nightly. [default: <results>/fixed]")
    ] = None,
    require_baseline: Annotated[bool, typer.Option(help="Fail where no night is kept yet.")] = False,
    accept: Annotated[
        bool, typer.Option(help="What differs is meant: this night is the new baseline, and the fixed one.")
    ] = False,
) -> None:
    """Hold the night in <results>/tonight against those kept, and keep it; exit code 1 as for compare."""
    from fgbench.cli import nightly as verbs
    from fgbench.judge.nightly.nights import judge_night

    result, night = judge_night(results, fixed=fixed, require_baseline=require_baseline, accept=accept)
    page = verbs.write_night(result, night, results)
    verbs.show(result)
    typer.echo(f"history: {page}")
    raise typer.Exit(0 if night.passed else 1)
