import pytest
from made_records import RECIPES, Kept, of_accuracy, of_right, untrained

from fgbench.judge.anomalies import find_anomalies
from fgbench.judge.seed_checks import missing_seeds, seed_anomalies, unused_runs
from fgbench.judge.verdict import Outcome, judge
from fgbench.papers.printed import load_papers

CELL = next(cell for cell in load_papers()["bcnn"].cells() if cell.id == "t1/bcnn_dd/birds")
VALUES = (84.0, 84.1, 83.9, 84.05, 84.02, 83.98, 84.0, 84.1, 84.03, 83.97)


def seeds(*numbers, **fields):
    return [of_accuracy(VALUES[number % 10], number, **fields) for number in numbers]


def verdict(records):
    return judge(CELL, records, {}, RECIPES)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0, 1, 2), ""),
        ((0,), ""),
        ((1, 2, 4, 5, 6, 7, 8, 9), "seeds 0 and 3 of 0 to 9 are missing"),
        ((0, 2), "seed 1 of 0 to 2 is missing"),
        ((5,), "seeds 0, 1, 2, 3 and 4 of 0 to 5 are missing"),
        ((0, 1 << 40), f"seed {1 << 40} is not one of the first 1000 seeds"),
    ],
)
def test_missing_seeds_are_named(numbers, text):
    assert missing_seeds(seeds(*numbers)) == ([text] if text else [])


def test_a_verdict_names_missing_seeds():
    found = verdict(seeds(0, 1, 3, 4))
    assert found.outcome == Outcome.REPRODUCED
    assert [(a.kind, a.text) for a in found.anomalies] == [("seeds", "seed 2 of 0 to 4 is missing")]
    assert not found.anomalies[0].invalidates_run
    assert verdict(seeds(0, 1, 2)).anomalies == ()


def test_missing_seeds_of_a_run_without_random_numbers_are_no_anomaly():
    settings = untrained("bcnn/bcnn_dd@cub").settings.model_dump(mode="json")
    assert list(seed_anomalies(seeds(3, settings=settings))) == []


def test_a_seed_that_was_run_twice_is_named_and_the_first_value_counts():
    first, again = (
        of_accuracy(value, run_id=run_id, provenance={"finished": finished})
        for value, run_id, finished in ((83.0, "b" * 16, "2026-01-01"), (84.0, "a" * 16, "2026-01-02"))
    )
    for records in ([first, again], [again, first]):
        found = verdict(records)
        assert found.records == (first,)
        texts = [a.text for a in find_anomalies(records, lambda record: {})[first.run_id]]
        assert texts == [f"seed 0 was run 2 times: {'b' * 16} is used, {'a' * 16} is not"]


def of_code(source, numbers, finished, value=0.0):
    return [
        of_accuracy(VALUES[number] + value, number, provenance={"source": source, "finished": finished})
        for number in numbers
    ]


def test_three_seeds_of_older_code_do_not_outvote_one_of_newer_code_in_silence():
    old, new = of_code("old", range(3), "2026-01-01"), of_code("new", [0], "2026-02-01", value=-9)
    found = verdict([*old, *new])
    assert list(found.records) == old
    (anomaly,) = found.anomalies
    assert anomaly.kind == "unused runs"
    assert anomaly.text == "1 run with other code (seed 0, finished later) is not in this mean"


def test_other_libraries_weights_and_devices_are_named():
    chosen = of_code("a", [0], "2026-02-01")
    other = {"source": "a", "finished": "2026", "packages": {"torch": "3"}, "device": "x"}
    others = [of_accuracy(84.0, seed, provenance=other) for seed in (1, 2)]
    (anomaly,) = unused_runs(chosen, [*chosen, *others])
    assert anomaly.text == "2 runs with other libraries, device (seeds 1, 2) are not in this mean"
    (anomaly,) = unused_runs(chosen, [*chosen, chosen[0].model_copy(update={"weights": [], "seed": 4})])
    assert anomaly.text == "1 run with other weights (seed 4) is not in this mean"
    assert unused_runs(chosen, chosen) == []


def test_the_seeds_of_all_records_are_checked_with_the_other_anomalies():
    kept = Kept(*(of_right([True, False] * 40, seed=seed) for seed in (0, 2)))
    found = find_anomalies(kept.records, kept)
    assert {a.text for anomalies in found.values() for a in anomalies if a.kind == "seeds"} == {
        "seed 1 of 0 to 2 is missing"
    }
