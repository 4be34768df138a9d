"""Short simulations: every rate keeps its promise, and the rates that are kept are those of the program."""

import json

import pytest
from simulate.__main__ import FILE, STUDIES, main, measure, table
from simulate.rate import Rate

KEPT = {name: [Rate(**rate) for rate in rates] for name, rates in json.loads(FILE.read_text(encoding="utf-8")).items()}


def test_every_study_is_kept_with_all_its_trials():
    assert list(KEPT) == list(STUDIES)
    for name, rates in KEPT.items():
        assert max(rate.trials for rate in rates) == STUDIES[name].full
        assert not [rate for rate in rates if rate.too_high or rate.too_low]


@pytest.mark.parametrize("name", STUDIES)
def test_a_short_study_agrees_with_the_kept_one(name):
    rates, _ = measure(name, STUDIES[name].short)
    assert [(rate.what, rate.case) for rate in rates] == [(rate.what, rate.case) for rate in KEPT[name]]
    assert [(rate.limit, rate.at_least) for rate in rates] == [(rate.limit, rate.at_least) for rate in KEPT[name]]
    for short, kept in zip(rates, KEPT[name], strict=True):
        assert not short.too_high, short
        assert not short.too_low, short
        assert abs(short.share - kept.share) <= 4 * (short.error**2 + kept.error**2) ** 0.5, (short, kept)


def test_a_rate_above_its_limit_and_one_below_its_promise_are_failures():
    assert Rate("x", "y", hits=90, trials=1000, limit=0.05).too_high
    assert not Rate("x", "y", hits=60, trials=1000, limit=0.05).too_high  # within three Monte Carlo errors
    assert Rate("x", "y", hits=800, trials=1000, at_least=0.9).too_low
    assert not Rate("x", "y", hits=880, trials=1000, at_least=0.9).too_low
    assert not Rate("x", "y", hits=999, trials=1000).too_high
    assert Rate("x", "y", hits=0, trials=1000).error == pytest.approx(0.001, rel=0.01)


def test_a_table_has_the_rate_its_error_and_its_promise():
    rates = [Rate("alarm", "noise", 3, 1000, limit=0.01), Rate("found", "fault", 99, 100, at_least=0.9, nights=4)]
    lines = table("Nights", rates).splitlines()
    assert lines[0] == "**Nights**"
    assert lines[4] == "| alarm | noise | 0.30 ± 0.17 % | at most 1 % |  |"
    assert lines[5] == "| found | fault | 99.00 ± 0.99 % | at least 90 % | 4 |"


def test_the_exit_code_tells_a_broken_promise(monkeypatch, capsys):
    study = STUDIES["splits"]
    monkeypatch.setitem(STUDIES, "splits", type(study)("t", lambda rng, n: [Rate("x", "y", n, n, 0.05)], 100, 50))
    monkeypatch.setattr("simulate.__main__.ProcessPoolExecutor", Serial)
    assert main(["splits", "--short"]) == 1
    assert "not as promised: x, y: 100.00 %" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["no such study"])


class Serial:
    """Runs the studies in this process."""

    def __init__(self, jobs):
        assert jobs == 1

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False

    map = staticmethod(map)
