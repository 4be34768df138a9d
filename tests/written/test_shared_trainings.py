"""The table of what sharing trained networks saves."""

import re

from documents import ROOT
from written import shared_trainings

COUNTS = 6
"""Number of columns before the hours."""


def test_the_counts_of_the_guide_are_those_of_the_recipes():
    text = (ROOT / "docs/guides/trained_networks.md").read_text(encoding="utf-8")
    lines = re.search(r"shared_trainings -->\n(.*?)<!-- end", text, re.DOTALL)[1].strip().splitlines()
    head, _, *rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    assert head == list(shared_trainings.HEAD)
    counted = [list(row[:COUNTS]) for row in shared_trainings.rows(with_hours=False)]
    assert [row[:COUNTS] for row in rows] == counted
    # FV-CNN [D] and [M], without and with boxes, leave out 25 epochs each, and four models of the keypoint FCN 50 each.
    # Under `quick` these are two without boxes with 4 epochs each, and three models with 12.
    saved = {(row[0], row[1]): int(row[4]) - int(row[5]) for row in counted}
    assert saved["paper", "cars"] == saved["paper", "aircraft"] == 4 * 25
    assert saved["paper", "cub"] == 4 * 25 + 4 * 50
    assert saved["quick", "generated birds"] == 2 * 4 + 3 * 12
    for _, _, *_, alone, shared in rows[1:]:
        assert float(alone) > float(shared) > 0
