"""Tests of trained networks from outside: planning, execution, and the verdicts on the printed cells."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch

from fgbench.cli.chosen_recipes import choose_recipes
from fgbench.cli.console import Answer, out, print_lines
from fgbench.cli.progress import Progress
from fgbench.cli.run_results import give_next, give_results
from fgbench.datasets import find
from fgbench.datasets.image_folder import PREFIX
from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.external_verdicts import external_verdicts
from fgbench.papers.printed import load_papers
from fgbench.papers.recipes import load_recipes
from fgbench.records.store import store_of
from fgbench.runs.built_method import build_method
from fgbench.runs.executors import runner
from fgbench.runs.experiment import experiment
from fgbench.runs.outside_network import outside_networks
from fgbench.runs.planning import Plan, plan, planned_index
from fgbench.runs.run import Changes, Run
from fgbench.runs.trained_state import expected_tensors
from fgbench.util.errors import FgbenchError
from fgbench.util.files import make_folder
from fgbench.util.plain_text import one_line


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Runs that test the networks of one result."""

    runs: tuple[Run, ...]

    @classmethod
    def of(
        cls,
        files: Sequence[Path],
        recipe: str,
        data: str,
        profile: str,
        changes: Changes,
        title: str = "",
        names: Path | None = None,
    ) -> Self:
        """Plan the runs.

        Raises:
            FgbenchError: an unknown recipe or profile, changes that do not fit, missing data, weights or files.
        """
        if data.startswith(PREFIX):
            data = find(data).name
            changes = replace(changes, data=data)
        chosen = choose_recipes(data, [recipe])
        if len(chosen) > 1:
            raise FgbenchError(f"{recipe!r} stands for {len(chosen)} recipes", "fgbench list recipes")
        networks = outside_networks(list(files), chosen[0].key, title, names)
        device = "cuda" if torch.cuda.is_available() and profile != "quick" else "cpu"
        planned = plan(chosen, profile, [0], device=device, changes=changes)
        for obstacle in planned.blocked.values():
            raise FgbenchError(obstacle.reason, obstacle.command)
        (first,) = planned.runs
        return cls(
            tuple(replace(first, seed=seed, network=network, parent=None) for seed, network in enumerate(networks))
        )

    def run(self, results: Path, answer: Answer) -> int:
        """Execute the runs, and answer with values and verdicts; return the exit code."""
        make_folder(results)
        for stream in {stream.network: stream for run in self.runs for stream in run.streams}.values():
            if not stream.official:
                out(f"layers and input of {stream.network} are those of {stream.name}")
        chosen = Plan(self.runs, {})
        with Progress() as progress:
            result = runner.run_plan(chosen, results, progress.watch())
        give_results(answer, chosen, result, results)
        if not result.failures:
            verdicts = self._verdicts(results)
            answer.give({"verdicts": verdicts}, lambda: print_lines(map(_sentence, verdicts)))
        give_next(answer, chosen, result, results)
        return 1 if result.failures else 0

    def _verdicts(self, results: Path) -> list[dict[str, Any]]:
        """Return the verdicts on the printed cells of the recipe as plain values."""
        store, recipes, run = store_of(results), load_recipes(), self.runs[0]
        records = [store.read(run.id) for run in self.runs]
        anomalies = find_anomalies(records, store.outputs)
        return [
            {
                "cell": f"{cell.paper}/{cell.id}",
                "printed": cell.value,
                "unit": cell.unit,
                "margin": cell.margin,
                "verdict": str(verdict.outcome),
                "reason": verdict.reason,
            }
            for paper in load_papers().values()
            for cell in paper.cells()
            if (cell.recipe, cell.data) == (run.recipe.name, run.recipe.settings.data)
            for verdict in external_verdicts(cell, records, recipes, anomalies)
        ]

    def give_names(self, answer: Answer) -> None:
        """Answer with names and shapes of the tensors in the first file and in the method."""
        run = self.runs[0]
        assert run.network is not None
        found = run.network.tensors()
        trial = experiment(planned_index(run), run.protocol, run.settings, run.seed)
        expected = expected_tensors(build_method(run, trial), svm=run.settings.classifier == "svm")
        shapes = {name: str(tuple(value.shape)) for name, value in expected.items()}
        rows = [
            {
                "tensor": name,
                "method": shapes.get(name, ""),
                "file": str(tuple(found[name].shape)) if name in found else "",
            }
            for name in dict.fromkeys((*shapes, *found))
        ]
        answer.give_tables({f"tensors of {run.recipe.key} and of {run.network.path.name}": rows})


def _sentence(verdict: dict[str, Any]) -> str:
    printed = f"printed {verdict['printed']:g} {verdict['unit']}, margin {verdict['margin']:g}"
    return one_line(f"{verdict['cell']} ({printed}): {verdict['verdict']}: {verdict['reason']}")
