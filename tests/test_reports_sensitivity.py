"""What the text of the committed results says about photographs that were compressed once more."""

from pathlib import Path

from fgbench.judge.sensitivity import find_bounds
from fgbench.records.store import store_of

REPORTS = Path(__file__).parents[1] / "reports"


def test_the_effect_of_a_further_compression_on_two_d_nets_is_that_of_the_records():
    store = store_of(REPORTS / "readings-sensitivity")
    bounds = find_bounds(store.records(), store.outputs).values()
    (bound,) = [bound for bound in bounds if bound.unit == "%" and len(bound.run_ids) == 3]
    text = " ".join((REPORTS / "README.md").read_text(encoding="utf-8").split())
    part = text.partition("### Photographs that are compressed once more")[2].partition("<!--")[0]
    for effect in bound.effects:
        low, high = effect.interval
        assert f"to quality {effect.quality} takes {-effect.value:.2f} points" in part
        assert f"{low:+.2f} to {high:+.2f}" in part
    assert f"the bound is {bound.bound:.2f} points" in part
    assert f"the bound of the effect is {bound.bound:.2f} points" in text
