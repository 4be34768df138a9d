"""Options that several verbs share."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

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


Results = Annotated[Path, typer.Option("--results", callback=expanded, help="Folder for records and unfinished work.")]
Classes = Annotated[int | None, typer.Option(min=2, help="Use only the first classes: a deviation.")]
Size = Annotated[int | None, typer.Option(min=1, help="Input size in pixels: a deviation.")]
Backbone = Annotated[str | None, typer.Option(help="Network for every stream, as network:tap: a deviation.")]
Precision = Annotated[
    str | None, typer.Option(help="Precision of the training: 32-true or bf16-mixed; a deviation in rounding.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Run nothing: show what would run, in order, with its estimated cost.")
]
Gpu = Annotated[
    str | None,
    typer.Option(help="With --dry-run: estimate for a GPU that is not here: a100, h100 or h200, at half of its peaks."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Markdown = Annotated[
    Path | None,
    typer.Option("--markdown", callback=expanded, help="Write a summary, such as $GITHUB_STEP_SUMMARY."),
]


@dataclass(frozen=True, slots=True)
class ExecutionOptions:
    """Options of `run` and `reproduce`: profile, number of seeds, and the machines that execute the runs."""

    profile: Annotated[
        str, typer.Option(help="quick, frozen, paper, or auto (paper with a GPU and real data, else quick).")
    ] = "auto"
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of seeds, from 0, for runs that depend on the seed. "
            "[default: 3 under paper, else 1; at least one a split]",
        ),
    ] = None
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Runs at the same time. [default: cores / threads of a run (1 under quick, else 4); 1 on a GPU]"
        ),
    ] = None
    executor: Annotated[str, typer.Option(help="local, or ray (the nodes of a Ray cluster).")] = "local"
    address: Annotated[
        str | None,
        typer.Option(
            help="Address of the Ray cluster: ray://host:10001 from any machine; host:6379 or auto on a node. "
            "[default: auto]"
        ),
    ] = None
    cpus: Annotated[
        int | None, typer.Option(min=1, help="Ray: cores that a run reserves. [default: 1 under quick, else 4]")
    ] = None
    gpus: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Ray: GPUs of a run; with 0.5 two runs share one. [default: 1 if the cluster has GPUs, 0 under quick]",
        ),
    ] = None
    retries: Annotated[
        int | None, typer.Option(min=0, help="Ray: repetitions of a run after its node failed. [default: 3]")
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
