"""Rows of pytest-benchmark from races, and a table of the races at the end."""

import statistics
from collections.abc import Callable, Iterator

import pytest
import torch
from race import OURS, Race

_RUN: list[Race] = []


class Replay:
    """A clock for pytest-benchmark that shows the times a race has taken."""

    __name__ = "perf_counter"

    def __init__(self) -> None:
        self.samples: Iterator[float] = iter(())
        self._now, self._running = 0.0, False

    def __call__(self) -> float:
        """Seconds; every second call is later than the one before by what the next round took."""
        if self._running:
            self._now += next(self.samples)
        self._running = not self._running
        return self._now


CLOCK = Replay()


def pytest_addoption(parser: pytest.Parser) -> None:
    """An option for nights."""
    parser.addoption(
        "--nightly",
        action="store_true",
        help="time fgbench alone, to be compared with other nights: no peers, and no thresholds",
    )


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, object]) -> None:
    """Times of two versions of torch are not compared."""
    machine_info["torch"] = torch.__version__


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Rows of races are timed by their race."""
    for item in items:
        if "row" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.benchmark(timer=CLOCK))


@pytest.fixture
def row(benchmark, request: pytest.FixtureRequest) -> Callable[[Race, str], None]:
    """Reports one entrant of a race; fails for fgbench's where a threshold is missed."""

    def report(race: Race, name: str) -> None:
        if benchmark.disabled:
            benchmark.pedantic(race.entrants[name]())
            return
        alone = request.config.getoption("nightly", default=False)
        if alone:
            if name != OURS:
                pytest.skip("fgbench alone is timed")
            race.alone()
        outcome = race.run()
        if race not in _RUN:
            _RUN.append(race)
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
        if name == OURS:
            benchmark.extra_info |= _beside(race)
            if not alone:
                _check(race)

    return report


def _beside(race: Race) -> dict[str, object]:
    outcome = race.run()
    peers = [name for name in outcome.samples if name != OURS]
    found: dict[str, object] = {
        "times_as_fast_as": {name: outcome.ratio(name) for name in peers},
        "at_least": dict(race.at_least),
    }
    if race.at_most_s is not None:
        found["at_most_s"] = race.at_most_s
    if race.floor:
        floor = race.floor.seconds(race.threads)
        found |= {"floor_s": floor, "times_floor": outcome.median_s(OURS) / floor, "floor_counts": race.floor.says}
    return found


def _check(race: Race) -> None:
    outcome = race.run()
    for peer, least in race.at_least.items():
        if peer in outcome.samples:
            ratio = outcome.ratio(peer)
            assert ratio >= least, f"{race.title}: {ratio:.2f} times as fast as {peer}, not {least:g}"
    if race.at_most_s is not None:
        taken = outcome.median_s(OURS)
        assert taken <= race.at_most_s, f"{race.title}: {taken:.2f} s, not {race.at_most_s:g}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The races: fgbench beside every peer, what was asked, and the floor."""
    lines = [line for race in _RUN for line in _lines(race)]
    if not lines:
        return
    heads = ("path", "beside", "fgbench", "quartiles", "peer", "times as fast", "asked", "times floor")
    widths = [max(len(row[column]) for row in (heads, *lines)) for column in range(len(heads))]
    terminalreporter.section("hot paths")
    for row_ in (heads, *lines):
        terminalreporter.write_line("  ".join(cell.ljust(width) for cell, width in zip(row_, widths, strict=True)))


def _lines(race: Race) -> Iterator[tuple[str, ...]]:
    outcome, ours = race.run(), race.run().samples[OURS]
    low, _, high = statistics.quantiles(ours, n=4) if len(ours) > 1 else (ours[0],) * 3
    fixed = (_seconds(outcome.median_s(OURS)), f"{_seconds(low)} to {_seconds(high)}")
    floor = f"{outcome.median_s(OURS) / race.floor.seconds(race.threads):.1f}" if race.floor else "-"
    if race.at_most_s is not None or len(race.entrants) == 1:
        limit = "-" if race.at_most_s is None else f"at most {_seconds(race.at_most_s)}"
        yield race.title, "-", *fixed, "-", "-", limit, floor
    for name in race.names:
        if name == OURS:
            continue
        asked = f"{race.at_least[name]:g}" if name in race.at_least else "-"
        if name in outcome.absent:
            yield race.title, name, *fixed, "not here", "-", asked, floor
        else:
            yield race.title, name, *fixed, _seconds(outcome.median_s(name)), f"{outcome.ratio(name):.1f}", asked, floor


def _seconds(value: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-6:.3g} us"
