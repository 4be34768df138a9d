"""A program that executes the code cells of a notebook in one namespace, and prints what each cell shows.

Its argument is the notebook. Of each cell it prints `[N]`, what the cell prints, and the value of its last expression.
"""

import ast
import json
import sys
from pathlib import Path


def show(source: str, number: int, names: dict) -> None:
    """Execute a cell as a notebook does."""
    print(f"[{number}]")
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, f"cell {number}", "exec"), names)
    if (
        last is not None
        and (value := eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)) is not None
    ):
        print(repr(value))


NAMES = {"__name__": "__main__"}
CELLS = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["cells"]
for place, cell in enumerate(one for one in CELLS if one["cell_type"] == "code"):
    show("".join(cell["source"]), place, NAMES)
