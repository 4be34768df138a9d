"""What the verbs of the command line do."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fgbench import datasets
from fgbench.console import Progress, out, table
from fgbench.datasets.check import COUNTED, check
from fgbench.datasets.reid import ReidIndex
from fgbench.datasets.source import Source
from fgbench.errors import FgbenchError, nearest
from fgbench.files import cache_folder
from fgbench.papers import Paper, load_papers
from fgbench.recipes import Recipe, load_recipes

if TYPE_CHECKING:
    from fgbench.anomalies import Anomalies
    from fgbench.records import Record
    from fgbench.report.pages import Page
    from fgbench.runner import Result
    from fgbench.runs import Plan

KINDS = ("papers", "rows", "cells", "recipes", "methods", "data")
DEFAULT_SEEDS = {"quick": 1, "frozen": 1, "paper": 3}
"""For data sets with more splits than that, as many as there are splits."""
GROUPS = {"reid": ("market1501", "viper", "cuhk03")}
"""Names that stand for several data sets."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asked to be run."""

    data: str
    recipes: tuple[str, ...]
    """Empty for every recipe of the data set."""
    profile: str
    seeds: int | None
    jobs: int | None
    changes: Any = None
    """A `fgbench.runs.Changes`, or None."""
    cluster: Any = None
    """A `fgbench.ray_executor.Cluster` to do it on, or None for this machine."""


def catalogue(kind: str) -> dict[str, list[dict[str, Any]]]:
    """What there is, by kind, as plain values.

    Raises:
        FgbenchError: an unknown kind.
    """
    if kind != "all" and kind not in KINDS:
        raise FgbenchError(f"no kind named {kind!r}; {nearest(kind, [*KINDS, 'all'])}")
    papers = load_papers()
    found: dict[str, list[dict[str, Any]]] = {}
    if kind in {"papers", "all"}:
        found["papers"] = [
            {"id": p.id, "version": p.version, "title": p.title, "year": p.year, "cells": len(p.cells())}
            for p in papers.values()
        ]
    if kind in {"rows", "all"}:
        found["rows"] = _rows(papers)
    if kind == "cells":
        found["cells"] = [asdict(cell) | {"params": dict(cell.params)} for p in papers.values() for cell in p.cells()]
    if kind in {"recipes", "all"}:
        found["recipes"] = [
            {"recipe": r.name, "data": r.settings.data, "method": r.method, "streams": " x ".join(r.settings.backbones)}
            for r in load_recipes().values()
        ]
    if kind in {"methods", "all"}:
        from fgbench.methods import methods

        found["methods"] = [{"method": name, "what": _first_line(methods[name].__doc__)} for name in methods]
    if kind in {"data", "all"}:
        found["data"] = [
            {"data": name, "title": datasets.find(name).title, "here": _is_here(name)} for name in datasets.names()
        ]
    return found


def _rows(papers: Mapping[str, Paper]) -> list[dict[str, Any]]:
    """Every row of every paper's tables, once a data set, with its recipe or why it does not run here."""
    from fgbench.runs import obstacles
    from fgbench.verdict import judge

    recipes = load_recipes()
    missing = obstacles(list(recipes.values()))
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for paper in papers.values():
        for cell in paper.cells():
            verdict = judge(cell, [], missing, recipes)
            reason = verdict.reason.partition(" (")[0]  # without the folders that were searched
            runs = "runs here" if verdict.command.startswith("fgbench run") else reason
            row = {"paper": paper.id, "table": cell.table, "row": cell.row, "data": cell.data, "recipe": cell.recipe}
            rows.setdefault((*row.values(), runs), row | {"runs": runs, "get it by": verdict.command})
    return list(rows.values())


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]


def _is_here(name: str) -> bool:
    dataset = datasets.find(name)
    return dataset.synthetic or _folder(dataset) is not None


def _folder(dataset: Source[Any]) -> Path | None:
    try:
        return dataset.find()
    except FgbenchError:
        return None


def show_catalogue(found: dict[str, list[dict[str, Any]]]) -> None:
    """Print a catalogue as tables."""
    for kind, rows in found.items():
        table(kind, rows)


def get_data(name: str) -> Path:
    """Download and unpack a data set; returns its folder.

    Raises:
        FgbenchError: the data set has no official address, or the download fails.
    """
    from fgbench.download import extract, fetch

    dataset = datasets.find(name)
    if dataset.archive is None:
        return dataset.find()
    if here := _folder(dataset):
        return here
    first = os.environ.get("FGBENCH_DATA", "").split(os.pathsep)[0]
    place = Path(first) if first else cache_folder() / "data"
    url = os.environ.get(f"FGBENCH_URL_{name.upper()}") or dataset.archive.url
    if not url:
        raise dataset.by_hand(place / dataset.folder)
    archive = fetch(url, place / Path(url).name, md5=dataset.archive.md5)
    unpacked = place / f".{dataset.folder}.unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)  # what an interrupted call left
    extract(archive, unpacked)
    inner = unpacked / dataset.folder
    if not inner.is_dir():
        raise FgbenchError(f"{archive} holds no folder {dataset.folder}", f"see {dataset.archive.page}")
    # The archive keeps its attribute names beside the folder; the loader wants them in it.
    names = unpacked / "attributes.txt"
    if names.is_file() and not (inner / names.name).exists():
        names.replace(inner / names.name)
    inner.replace(place / dataset.folder)
    shutil.rmtree(unpacked)
    archive.unlink()
    return place / dataset.folder


def check_data(name: str, *, as_json: bool = False) -> bool:
    """Check a data set and print what was found; True when nothing is wrong."""
    dataset = datasets.find(name)
    index = dataset.index()
    with Progress(quiet=as_json) as progress:
        task = progress.add(f"decoding {name}", len(index))
        health = check(index, dataset.official, dataset.tables, dataset.counts, lambda: progress.advance(task))
    if as_json:
        out(json.dumps(asdict(health), indent=1, ensure_ascii=False))
        return not health.problems
    for title, findings in (("problems", health.problems), ("notes", health.notes)):
        kinds = sorted({finding.kind for finding in findings})
        for kind in kinds:
            same = [finding for finding in findings if finding.kind == kind]
            shown = same if title == "problems" or len(same) <= 20 else same[:3]
            table(f"{title}: {kind} ({len(same)})", [{"file": f.file, "what": f.what} for f in shown])
            if len(shown) < len(same):
                out(f"  and {len(same) - len(shown)} more (--json lists all)")
    if isinstance(index, ReidIndex):
        counts = ", ".join(f"{count} {COUNTED[kind]}" for kind, count in index.counts.items())
    else:
        counts = f"{health.images} images of {len(index.classes)} classes, {int(index.train.sum())} for training"
    out(f"{dataset.title}: {counts}, {len(health.problems)} problems")
    if not health.problems:
        out(f"annotations {index.annotation_hashes['split']}, fingerprint {index.fingerprint}")
    return not health.problems


def list_weights(*, as_json: bool) -> None:
    """Print every known weight file and where it is."""
    from fgbench.backbones import known_weights

    rows = known_weights()
    out(json.dumps(rows, indent=1)) if as_json else table("weights", rows)


def choose_profile(profile: str, data: str, has_gpu: bool) -> str:
    """`auto` resolved: `paper` with a GPU and the real data (of a group, of one of them), else `quick`.

    Raises:
        FgbenchError: an unknown profile.
    """
    from fgbench.recipes import PROFILES

    if profile != "auto":
        if profile not in PROFILES:
            raise FgbenchError(f"no profile named {profile!r}; {nearest(profile, [*PROFILES, 'auto'])}")
        return profile
    return "paper" if has_gpu and any(map(_is_here, GROUPS.get(data, (data,)))) else "quick"


def choose_recipes(data: str, names: Sequence[str]) -> list[Recipe]:
    """Recipes of a data set by name, or all of them but variants.

    Raises:
        FgbenchError: an unknown recipe, or a data set without recipes.
    """
    recipes = {recipe.name: recipe for recipe in load_recipes().values() if recipe.settings.data == data}
    if not recipes:
        known = sorted({recipe.settings.data for recipe in load_recipes().values()})
        raise FgbenchError(
            f"no recipe for the data set {data!r}: no reproductions/*/{data}.toml, only for {', '.join(known)}",
            f"fgbench reproduce {known[0]}" if known else "",
        )
    for name in names:
        if name not in recipes:
            raise FgbenchError(f"no recipe {name!r} for {data}; {nearest(name, recipes)}", "fgbench list recipes")
    return [recipes[name] for name in names or recipes if names or not recipes[name].variant]


def choose_cluster(executor: str, jobs: int | None, **options: Any) -> Any:
    """A `fgbench.ray_executor.Cluster` for the options of the command line, or None for this machine.

    Raises:
        FgbenchError: an unknown executor, or options that are for the other one.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if executor == "local":
        if given:
            raise FgbenchError(f"--{next(iter(given))} is for runs on a cluster", "--executor ray")
        return None
    if executor != "ray":
        raise FgbenchError(f"no executor named {executor!r}; {nearest(executor, ['local', 'ray'])}")
    if jobs:
        raise FgbenchError("--jobs is for this machine: a cluster does as many runs at a time as it has room for")
    from fgbench.ray_executor import Cluster

    return Cluster(**given)


def run_recipes(request: Request, results: Path) -> int:
    """Run what was asked for and print how it came out; returns the exit code."""
    from fgbench.engine import rank
    from fgbench.measures import headline
    from fgbench.runner import store_of

    planned, result = (_run_on_cluster if request.cluster else _run_here)(request, results)
    if rank():
        return 1 if result.failures else 0  # the first of several processes tells how it came out
    store = store_of(results)
    rows = []
    for run in planned.runs:
        if store.has(run.id):
            record = store.read(run.id)
            name = headline(record.values)
            value = record.values[name]
            rows.append(
                {
                    "run": run.title,
                    "measured": name,
                    value.unit: f"{value.value:.1f}",
                    "95 %": "" if value.low is None else f"{value.low:.1f} to {value.high:.1f}",
                    "time, s": f"{record.cost.wall_s:.0f}",
                    "peak, MiB": f"{record.cost.peak_mib:.0f}",
                    "images/s": f"{record.cost.test_fps or 0:.1f}",
                    "record": run.id,
                }
            )
    table("results", rows)
    out(
        f"{result.done} runs done, {result.kept} kept from before, {len(result.failures)} failed, "
        f"{len(planned.blocked)} recipes blocked"
    )
    for failure in result.failures:
        out(f"failed: {failure.name}: {failure.message}")
        if failure.detail:
            out(failure.detail)
    return 1 if result.failures or not planned.runs else 0


def _run_here(request: Request, results: Path) -> tuple["Plan", "Result"]:
    """Plan and do what was asked for on this machine."""
    import torch

    from fgbench.engine import processes, rank
    from fgbench.runner import run_plan

    has_gpu, cores = torch.cuda.is_available(), os.cpu_count() or 1
    profile = choose_profile(request.profile, request.data, has_gpu)
    jobs = request.jobs or (cores if profile == "quick" else 1)
    planned = _planned(request, profile, has_gpu, max(1, cores // (jobs * processes())))
    with Progress(quiet=bool(rank())) as progress:
        return planned, run_plan(planned, results, progress.watch(), jobs=jobs)


def _run_on_cluster(request: Request, results: Path) -> tuple["Plan", "Result"]:
    """Plan what was asked for here, and have it done on a cluster."""
    from fgbench.ray_executor import connected

    with connected(request.cluster) as session:
        profile = choose_profile(request.profile, request.data, session.has_gpu)
        planned = _planned(request, profile, session.has_gpu, session.threads(profile))
        with Progress() as progress:
            return planned, session.run(planned, results, progress.watch())


def _planned(request: Request, profile: str, has_gpu: bool, threads: int) -> "Plan":
    """The runs of every data set that a request speaks of, with a line on each, and on each recipe that is blocked."""
    from fgbench.runs import Changes, Plan, plan

    device = "cuda" if has_gpu and profile != "quick" else "cpu"
    members = GROUPS.get(request.data, (request.data,))
    # Under quick all of a group are the same synthetic data: once is enough.
    plans = []
    for data in members[:1] if profile == "quick" else members:
        recipes = choose_recipes(data, request.recipes)
        # A recipe without the profile is blocked by `plan`, and does not stop the others.
        resolved = [recipe.resolve(profile) for recipe in recipes if profile == "paper" or recipe.profiles.get(profile)]
        splits = max((settings.ranking.splits for settings in resolved if settings.ranking), default=1)
        seeds = range(request.seeds or max(splits, DEFAULT_SEEDS[profile]))
        out(f"profile {profile}: {len(recipes)} recipes for {data}, seeds {', '.join(map(str, seeds))}, on {device}")
        if profile == "quick":
            made = " and ".join(sorted({settings.data.replace("_", " ") for settings in resolved}))
            out(f"{made} and small networks: these numbers answer no printed one")
        plans.append(
            plan(recipes, profile, seeds, device=device, threads=threads, changes=request.changes or Changes())
        )
    blocked = {key: obstacle for each in plans for key, obstacle in each.blocked.items()}
    for key, obstacle in blocked.items():
        out(f"blocked: {key}: {obstacle.reason}\n  {obstacle.command}")
    return Plan(tuple(run for each in plans for run in each.runs), blocked)


def write_report(results: Path, folder: Path, benchmarks: Sequence[Path] = (), more: Sequence["Page"] = ()) -> Path:
    """Judge every cell by the records in `results` and render the pages into `folder`; returns the index page.

    With `more` pages beside those of records.

    Raises:
        FgbenchError: a file of `benchmarks` is not pytest-benchmark's.
    """
    from fgbench.anomalies import find_anomalies
    from fgbench.claims import check_claims
    from fgbench.columns import judge_papers
    from fgbench.report.pictures import Pictures
    from fgbench.report.render import render
    from fgbench.report.speed import speed_page
    from fgbench.runner import store_of
    from fgbench.runs import obstacles
    from fgbench.timings import read_session

    speed = speed_page([read_session(path) for path in benchmarks]) if benchmarks else None
    papers, recipes = load_papers(), load_recipes()
    store = store_of(results)
    records = store.records()
    anomalies = find_anomalies(records, store.outputs_or_none)
    verdicts = judge_papers(papers, records, obstacles(list(recipes.values())), recipes, anomalies)
    claims = check_claims(papers, records, store.outputs, recipes, anomalies)
    pictures = Pictures(store.all_pictures())
    page = render(papers, verdicts, claims, records, folder, pictures, speed, anomalies, store.outputs_or_none, more)
    _summarise([v.outcome for own in verdicts.values() for v in own], [claim.state for claim in claims])
    _show_anomalies(records, anomalies)
    return page


def _summarise(outcomes: Sequence[str], states: Sequence[str]) -> None:
    for what, words in (("cells", outcomes), ("claims", states)):
        counts = Counter(str(word) for word in words)
        out(f"{what}: {', '.join(f'{number} {word}' for word, number in counts.most_common())}")


def _show_anomalies(records: Sequence["Record"], anomalies: "Anomalies") -> None:
    for record in records:
        for anomaly in anomalies.get(record.run_id, ()):
            out(f"odd: {record.run_id} ({record.title}, seed {record.seed}): {anomaly.kind}: {anomaly.text}")


def verify_records(results: Path) -> bool:
    """Verify every record in a results folder and print what is wrong or odd; True when every one can be right.

    Raises:
        FgbenchError: there is no record.
    """
    from fgbench.anomalies import find_anomalies
    from fgbench.runner import store_of

    store = store_of(results)
    records = store.records()
    if not records:
        raise FgbenchError(f"no records in {store.folder}", "fgbench reproduce cub")
    bad = 0
    for record in records:
        wrong = store.verify(record)
        bad += bool(wrong)
        for line in wrong:
            out(f"{record.run_id} ({record.title}, seed {record.seed}): {line}")
    anomalies = find_anomalies(records, store.outputs_or_none)
    _show_anomalies(records, anomalies)
    out(f"{len(records) - bad} of {len(records)} records verified: values recomputed from their per-sample outputs")
    return not bad and not any(anomaly.voids for own in anomalies.values() for anomaly in own)
