"""Print the counts of one training step of each recipe of CUB-200-2011 as a table in Markdown.

Words of the command line choose recipes whose keys contain one of them. Below the table are the places of the waits.
"""

import sys
from collections import Counter
from pathlib import Path

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "helpers")]

from steps import HEADS, count_step, paper_recipes

if __name__ == "__main__":
    print(HEADS)
    places = Counter()
    for recipe, settings in paper_recipes():
        if sys.argv[1:] and not any(word in recipe.key for word in sys.argv[1:]):
            continue
        for name, stage in settings.ordered_stages:
            step = count_step(recipe, settings, name, stage)
            places.update(step.waits)
            print(step.row, flush=True)
    if places:
        print("\nwaits:", *(f"{count} {place}" for place, count in places.most_common()), sep="\n")
