"""Options that several verbs share."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from fgbench.cli import completion
from fgbench.util.files import expand_user
from fgbench.util.folders import no_folder_error

RESULTS = Path("runs")
"""Default results folder."""


def expanded(path: Any) -> Any:
    """Return a path of the command line, or several, with the home folder in place of `~` and `~user`.

    Raises:
        FgbenchError: the home folder is not known.
    """
    if isinstance(path, list | tuple):
        return [expand_user(one) for one in path]
    return path if path is None else expand_user(path)


def existing(folder: Path) -> Path:
    """Return a results folder that is read.

    Raises:
        FgbenchError: there is no such folder.
    """
    if not folder.is_dir():
        raise no_folder_error(folder, "name a folder of results; fgbench reproduce cub makes the folder runs")
    return folder


Results = Annotated[
    Path,
    typer.Option("--results", metavar="FOLDER", callback=expanded, help="Folder of records and unfinished work."),
]
Positional = Annotated[Path | None, typer.Argument(hidden=True, callback=expanded)]
"""The results folder as the last word, as earlier versions took it."""
Classes = Annotated[int | None, typer.Option(metavar="INTEGER", min=2, help="Use only the first classes: a deviation.")]
Size = Annotated[int | None, typer.Option(metavar="INTEGER", min=1, help="Input size in pixels: a deviation.")]
Backbone = Annotated[
    str | None, typer.Option(metavar="NETWORK:TAP", help="Network for every stream, as network:tap: a deviation.")
]
Precision = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="Precision of the networks: 32-true, bf16-mixed (a deviation in rounding), or auto (bf16-mixed where a "
        "probe of this machine shows that it is faster).",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        metavar="INTEGER", min=1, help="Use only N training and N test images, of all classes in turn: a deviation."
    ),
]
SetValues = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Set a value of the recipe, such as svm.c=10: a deviation. Repeatable."
    ),
]
Epochs = Annotated[
    int | None, typer.Option(metavar="INTEGER", min=1, help="Train each stage for so many epochs: a deviation.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Run nothing: show what would run, in order, with its estimated cost.")
]
Gpu = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="With --dry-run: estimate for a GPU that is not here: a100, h100 or h200, at half of its peaks.",
    ),
]
Every = Annotated[bool, typer.Option("--all", help="Print every row and column, also what repeats.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Markdown = Annotated[
    Path | None,
    typer.Option(
        "--markdown", metavar="FILE", callback=expanded, help="Write a summary, such as $GITHUB_STEP_SUMMARY."
    ),
]


@dataclass(frozen=True, slots=True)
class ExecutionOptions:
    """Options of `run` and `reproduce`: profile, number of seeds, and the machines that execute the runs."""

    profile: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            autocompletion=completion.profiles,
            help="quick, frozen, paper, or auto (paper with a GPU and real data, else quick).",
        ),
    ] = "auto"
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Number of seeds, from 0, or seeds as 0,3,5, for runs that depend on the seed. "
            "[default: 3 under paper, else 1; at least one a split]",
        ),
    ] = None
    seed: Annotated[int | None, typer.Option(metavar="INTEGER", min=0, help="One seed.")] = None
    device: Annotated[
        str | None, typer.Option(metavar="TEXT", help="cpu or cuda. [default: cuda if there is a GPU]")
    ] = None
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="INTEGER",
            min=1,
            help="Runs at the same time. [default: cores / threads of a run (1 under quick, else 4); 1 on a GPU]",
        ),
    ] = None
    keep_network: Annotated[
        bool | None,
        typer.Option(
            "--keep-network/--no-keep-network",
            help="Keep the trained network in <results>/networks. [default: networks trained under paper]",
        ),
    ] = None
    log: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="Log the training: csv, tensorboard, or a logger of another package. Repeatable."
        ),
    ] = None
    log_every: Annotated[
        int, typer.Option(metavar="INTEGER", min=1, help="With --log: number of steps between two points.")
    ] = 50
    within: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Time limit, such as 9m: runs with the most verdicts a minute first. What is unfinished then is "
            "stopped, and the same command goes on with it.",
        ),
    ] = None
    executor: Annotated[str, typer.Option(metavar="TEXT", help="local, or ray (the nodes of a Ray cluster).")] = "local"
    address: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Address of the Ray cluster: ray://host:10001 from any machine; host:6379 or auto on a node. "
            "[default: auto]",
        ),
    ] = None
    cpus: Annotated[
        int | None,
        typer.Option(metavar="INTEGER", min=1, help="Ray: cores that a run reserves. [default: 1 under quick, else 4]"),
    ] = None
    gpus: Annotated[
        float | None,
        typer.Option(
            metavar="FLOAT",
            min=0,
            max=1,
            help="Ray: GPUs of a run; with 0.5 two runs share one. [default: 1 if the cluster has GPUs, 0 under quick]",
        ),
    ] = None
    retries: Annotated[
        int | None,
        typer.Option(metavar="INTEGER", min=0, help="Ray: repetitions of a run after its node failed. [default: 3]"),
    ] = None


def with_execution(verb: Callable[..., None]) -> Callable[..., None]:
    """Replace a verb's parameter `execution` by one option for each field of `ExecutionOptions`."""
    hints = get_type_hints(ExecutionOptions, include_extras=True)
    options = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(ExecutionOptions)
    ]
    signature = inspect.signature(verb)
    parameters = []
    for parameter in signature.parameters.values():
        parameters += options if parameter.name == "execution" else [parameter.replace(kind=parameter.KEYWORD_ONLY)]

    @wraps(verb)
    def typed(**values: Any) -> None:
        execution = ExecutionOptions(**{option.name: values.pop(option.name) for option in options})
        verb(execution=execution, **values)

    typed.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    typed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return typed
