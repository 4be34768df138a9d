"""The guide on layouts and formats: each row of its tables names a test that exists."""

import ast
import re

from documents import ROOT, page

GUIDE = page("docs/guides/layouts.md").read_text(encoding="utf-8")
CASES = ROOT / "tests/cases"


def test_each_row_names_a_test():
    rows = [line for line in GUIDE.splitlines() if line.startswith("|") and not line.startswith("|:--")]
    rows = [row for row in rows if "Test in `cases`" not in row]
    assert len(rows) > 25
    for row in rows:
        assert re.search(r"`test_\w+\.py::test_\w+`", row), row
    for file, name in re.findall(r"`(test_\w+\.py)::(test_\w+)`", GUIDE):
        tree = ast.parse((CASES / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, (file, name)
