"""The program `fgbench`: its verbs and exit codes."""

import os
import shlex
import sys
from functools import partial
from typing import Annotated

import typer

from fgbench._version import __version__
from fgbench.cli import (
    compare,
    data,
    doctor,
    evaluate,
    export,
    faults,
    help_pages,
    judge,
    keep,
    list_,
    log,
    nightly,
    predict,
    report,
    reproduce,
    rm,
    run,
    sensitivity,
    show,
    speed,
    verify,
    weights,
)
from fgbench.util.errors import FgbenchError
from fgbench.util.files import machine_error
from fgbench.util.gpu_errors import gpu_error

QUESTION = "Does every number printed in a fine-grained recognition paper hold, here, today, and at what cost?"
"""First line of the help text."""
INTERRUPTED = 130
"""Exit code of typer after Ctrl-C."""

app = typer.Typer(
    name="fgbench",
    no_args_is_help=True,
    context_settings=help_pages.HELP_OPTIONS,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=QUESTION,
)
_verb = partial(app.command, cls=help_pages.Verb)
_verb("list")(list_.list_)
_verb()(show.show)
_verb()(doctor.doctor)
_verb()(run.run)
_verb()(reproduce.reproduce)
_verb()(sensitivity.sensitivity)
_verb()(log.log)
_verb()(rm.rm)
_verb()(judge.judge)
_verb()(evaluate.evaluate)
_verb()(predict.predict)
_verb()(speed.speed)
_verb()(report.report)
_verb()(export.export)
_verb()(verify.verify)
_verb()(keep.keep)
_verb()(compare.compare)
_verb()(nightly.nightly)
app.add_typer(data.app, name="data")
app.add_typer(weights.app, name="weights")


def main() -> None:
    """Run a verb.

    A user's mistake or a fault of the machine ends in one sentence and exit code 2, without a traceback. A bug keeps
    its traceback.
    """
    os.environ.setdefault("FGBENCH_COMMAND", shlex.join(["fgbench", *sys.argv[1:]]))
    faults.print_every_character()
    try:
        faults.expand_folders()
        app()
        code = 0
    except FgbenchError as error:
        code = faults.print_mistake(error)
    except (OSError, MemoryError) as error:
        code = faults.print_mistake(machine_error(error))
    except RuntimeError as error:
        if (known := gpu_error(error)) is None:
            raise
        code = faults.print_mistake(known)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if code == INTERRUPTED:
            typer.echo("\nfgbench: interrupted; the same command continues from here", err=True)
    sys.exit(faults.flush_output(code))


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"fgbench {__version__}")
        raise typer.Exit


@app.callback(help=QUESTION)
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The options of the program itself."""
