"""What the text of the committed results says about the fine-tuning of the last block."""

from pathlib import Path

import numpy as np

from fgbench.records.store import store_of
from fgbench.statistics import mcnemar

REPORTS = Path(__file__).parents[1] / "reports"


def test_the_accuracies_after_each_step_are_those_of_the_records():
    store = store_of(REPORTS / "readings-finetuning")
    trained, frozen = sorted(store.records(), key=lambda record: not record.settings.get("fixed_blocks"))
    arrays = {record.run_id: store.outputs(record) for record in (trained, frozen)}
    labels, watched = (arrays[trained.run_id][name] for name in ("labels", "watched"))
    shares = [f"{100 * share:.2f}" for share in (watched == labels[:, None]).mean(axis=0)]
    assert np.array_equal(*(arrays[record.run_id]["ids"] for record in (frozen, trained)))
    test = mcnemar(*(arrays[record.run_id]["scores"].argmax(axis=1) == labels for record in (frozen, trained)))
    text = " ".join((REPORTS / "README.md").read_text(encoding="utf-8").split())
    part = text.partition("### Fine-tuning of the last block")[2].partition("###")[0]
    assert (
        f"{shares[0]} % after step 1, and {', '.join(shares[1:-1])} and {shares[-1]} % after 5, 10, 15, 20 and 25"
        in part
    )
    assert f"adds {float(shares[-1]) - float(shares[0]):.2f} points to the softmax layer" in part
    assert (
        f"{trained.values['accuracy'].value:.2f} % with it, and {frozen.values['accuracy'].value:.2f} % without" in part
    )
    assert f"({test.only_a} images lost, {test.only_b} won, p = {test.p_mid:.2f})" in part
    assert f"took {trained.cost.wall_s / 60:.0f} minutes" in part
