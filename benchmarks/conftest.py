"""Rows of pytest-benchmark from races, and a table of all races after the session."""

import statistics
from collections.abc import Callable, Iterator

import pytest
import torch
from race import FGBENCH, Race

_RACES: list[Race] = []
"""Races of this session."""


class Replay:
    """A clock for pytest-benchmark that replays times measured elsewhere."""

    __name__ = "perf_counter"

    def __init__(self) -> None:
        self.samples: Iterator[float] = iter(())
        self._now, self._running = 0.0, False

    def __call__(self) -> float:
        """Return seconds; every second call adds the time of the next round."""
        if self._running:
            self._now += next(self.samples)
        self._running = not self._running
        return self._now


CLOCK = Replay()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--nightly`."""
    parser.addoption(
        "--nightly",
        action="store_true",
        help="time fgbench without peers and thresholds, for comparison between nights",
    )


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, object]) -> None:
    """Record the version of torch; times of different versions are not compared."""
    machine_info["torch"] = torch.__version__


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give rows of races the clock that replays the times of their race."""
    for item in items:
        if "row" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.benchmark(timer=CLOCK))


@pytest.fixture
def row(benchmark, request: pytest.FixtureRequest) -> Callable[[Race, str], None]:
    """Return a function that reports one entrant of a race; that of fgbench fails if it misses a threshold."""

    def report(race: Race, name: str) -> None:
        if benchmark.disabled:
            benchmark.pedantic(race.entrants[name]())
            return
        alone = request.config.getoption("nightly", default=False)
        if alone:
            if name != FGBENCH:
                pytest.skip("--nightly times fgbench only")
            race.alone()
        outcome = race.run()
        if race not in _RACES:
            _RACES.append(race)
        if name in outcome.absent:
            pytest.skip(outcome.absent[name])
        benchmark.group = race.title
        samples = outcome.samples[name]
        CLOCK.samples = iter(samples)
        benchmark.pedantic(lambda: None, rounds=len(samples))
        benchmark.extra_info |= {
            "version": race.version,
            "entrant": name,
            "threads": race.threads,
            "reference_s": statistics.median(outcome.references[name]),
            "times_reference": outcome.relative(name),
            "rounds_of_reference": outcome.relatives(name),
        }
        if name in race.parts:
            benchmark.extra_info["scaled"] = f"measured on {race.parts[name]:.2%} of the work"
        if name == FGBENCH:
            benchmark.extra_info |= _comparison(race)
            if not alone:
                _check_thresholds(race)

    return report


def _comparison(race: Race) -> dict[str, object]:
    """Return the fields that compare fgbench with its peers, its threshold and the floor."""
    outcome = race.run()
    peers = [name for name in outcome.samples if name != FGBENCH]
    fields: dict[str, object] = {
        "times_as_fast_as": {name: outcome.ratio(name) for name in peers},
        "at_least": dict(race.at_least),
    }
    if race.at_most_s is not None:
        fields["at_most_s"] = race.at_most_s
    if race.floor:
        floor = race.floor.seconds(race.threads)
        fields |= {
            "floor_s": floor,
            "times_floor": outcome.median_s(FGBENCH) / floor,
            "floor_counts": race.floor.counts,
        }
    return fields


def _check_thresholds(race: Race) -> None:
    outcome = race.run()
    for peer, least in race.at_least.items():
        if peer in outcome.samples:
            ratio = outcome.ratio(peer)
            assert ratio >= least, f"{race.title}: {ratio:.2f} times as fast as {peer}; required: {least:g}"
    if race.at_most_s is not None:
        median_s = outcome.median_s(FGBENCH)
        assert median_s <= race.at_most_s, f"{race.title}: {median_s:.2f} s; allowed: {race.at_most_s:g} s"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a table of the races: fgbench, each peer, thresholds and the floor."""
    lines = [line for race in _RACES for line in _lines(race)]
    if not lines:
        return
    heads = ("path", "peer", "fgbench", "quartiles", "peer time", "times as fast", "required", "times floor")
    widths = [max(len(row[column]) for row in (heads, *lines)) for column in range(len(heads))]
    terminalreporter.section("hot paths")
    for row_ in (heads, *lines):
        terminalreporter.write_line("  ".join(cell.ljust(width) for cell, width in zip(row_, widths, strict=True)))


def _lines(race: Race) -> Iterator[tuple[str, ...]]:
    outcome = race.run()
    times_s = outcome.samples[FGBENCH]
    low, _, high = statistics.quantiles(times_s, n=4) if len(times_s) > 1 else (times_s[0],) * 3
    own_time = (_seconds(outcome.median_s(FGBENCH)), f"{_seconds(low)} to {_seconds(high)}")
    floor = f"{outcome.median_s(FGBENCH) / race.floor.seconds(race.threads):.1f}" if race.floor else "-"
    if race.at_most_s is not None or len(race.entrants) == 1:
        limit = "-" if race.at_most_s is None else f"at most {_seconds(race.at_most_s)}"
        yield race.title, "-", *own_time, "-", "-", limit, floor
    for name in race.names:
        if name == FGBENCH:
            continue
        required = f"{race.at_least[name]:g}" if name in race.at_least else "-"
        if name in outcome.absent:
            yield race.title, name, *own_time, "not installed", "-", required, floor
        else:
            yield (
                race.title,
                name,
                *own_time,
                _seconds(outcome.median_s(name)),
                f"{outcome.ratio(name):.1f}",
                required,
                floor,
            )


def _seconds(value: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-6:.3g} us"
