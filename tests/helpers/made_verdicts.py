"""Verdicts on small records of B-CNN [D,D] on CUB, with a margin of 0.5 points."""

from dataclasses import replace

from made_records import RECIPES, of_accuracy, untrained

from fgbench.judge.verdict import judge
from fgbench.papers.printed import load_papers

KEY = "bcnn/bcnn_dd@cub"
CELLS = {cell.id: cell for cell in load_papers()["bcnn"].cells()}
CELL = replace(CELLS["t1/bcnn_dd/birds"], margin=0.5)
STEADY = [84.0, 84.05, 83.95, 84.02, 83.98]


def verdict(records, cell=CELL, obstacles=None, anomalies=None, recipes=RECIPES):
    return judge(cell, records, obstacles or {}, recipes, anomalies)


def of_one_run(value, key=KEY, cell=CELL, **fields):
    """Return the verdict on one run of a recipe whose values do not depend on the seed."""
    recipe = untrained(key)
    settings = recipe.settings.model_dump(mode="json")
    run = of_accuracy(value, recipe=key, seeded=False, settings=settings, **fields)
    return verdict([run], cell, recipes={**RECIPES, key: recipe})


def over_seeds(values, **fields):
    return [of_accuracy(value, seed, **fields) for seed, value in enumerate(values)]
