"""A clock that only work moves forward."""

from types import SimpleNamespace


class Clock:
    """A clock that only work moves forward."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def work(self, seconds):
        """Return work whose calls take these seconds; later calls take as long as the last."""
        seconds = list(seconds)
        calls = SimpleNamespace(count=0)

        def run():
            self.now += seconds[min(calls.count, len(seconds) - 1)]
            calls.count += 1

        run.calls = calls
        return run
