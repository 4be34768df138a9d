"""Values over several nights: a second look, an accepted gain, and losses that add up."""

import numpy as np
from made_nights import folder
from made_records import of_right, untrained
from night_folders import RIGHT, fewer

from fgbench.judge.nightly.history import read_history
from fgbench.judge.nightly.night_comparison import judge_night
from fgbench.judge.nightly.night_storage import finish_night
from fgbench.metrics.values import measure

SETTINGS = untrained("bcnn/bcnn_dd@cub").settings.model_dump(mode="json")
NAME = "bcnn/bcnn_dd@cub (paper, seed 0, not fine-tuned): accuracy"


def judge(results, *pairs, accept=False):
    """Judge a night with these runs; return whether it passed, and the texts of its findings."""
    folder(results / "tonight", *pairs)
    result, night = judge_night(results, accept=accept)
    finish_night(results)
    return night.passed, [finding.text for finding in result.findings]


def frozen(right):
    return of_right(right, settings=SETTINGS)


def seeds(*shares):
    """Return a run with one seed for each share of right images."""
    rng = np.random.default_rng(1)
    runs = []
    for seed, share in enumerate(shares):
        record, arrays = of_right(rng.random(4000) < share, seed=seed)
        arrays["scores"] += rng.uniform(0, 0.1, arrays["scores"].shape).astype(np.float32)  # else seeds are copies
        runs.append((record.model_copy(update={"values": measure(arrays)}), arrays))
    return runs


def test_a_wider_spread_fails_in_the_second_night_that_shows_it(tmp_path):
    together, apart = seeds(0.8, 0.8, 0.81), seeds(0.7, 0.8, 0.9)
    name = "bcnn/bcnn_dd@cub (paper, seeds 0, 1, 2): accuracy, spread over seeds"
    assert judge(tmp_path, *together)[0]
    passed, texts = judge(tmp_path, *apart)
    assert passed
    assert [text for text in texts if text.endswith("the night fails if the next one shows it, too")]
    assert read_history(tmp_path)[-1].suspects == (name,)
    assert judge(tmp_path, *together)[0]
    assert read_history(tmp_path)[-1].suspects == ()
    assert judge(tmp_path, *apart)[0]
    for _ in range(2):
        assert not judge(tmp_path, *apart)[0]
        assert read_history(tmp_path)[-1].failed == (name,)
    assert judge(tmp_path, *apart, accept=True)[0]
    assert judge(tmp_path, *apart)[0]


def test_a_leak_fails_until_it_is_accepted(tmp_path):
    """15 points more: the baseline stays that of before."""
    leak = RIGHT.copy()
    leak[np.flatnonzero(~RIGHT)[:60]] = True
    assert judge(tmp_path, frozen(RIGHT))[0]
    for _ in range(2):
        passed, texts = judge(tmp_path, frozen(leak))
        assert not passed
        assert texts[0].endswith("fgbench nightly --accept")
    assert judge(tmp_path, frozen(leak), accept=True)[0]
    assert judge(tmp_path, frozen(leak))[0]
    assert not judge(tmp_path, frozen(RIGHT))[0]


def test_losses_of_several_nights_add_up_against_the_fixed_baseline(tmp_path):
    """Eight images a night: each night alone is within chance, two nights are not."""
    assert judge(tmp_path, frozen(RIGHT))[0]
    assert judge(tmp_path, frozen(fewer(8)))[0]
    passed, texts = judge(tmp_path, frozen(fewer(16)))
    assert not passed
    assert texts[0].startswith("against the fixed baseline")
    assert read_history(tmp_path)[-1].failed == (NAME,)
