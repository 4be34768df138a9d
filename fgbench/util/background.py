"""Calls in a thread beside the program, one at a time."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self


class Background:
    """A thread that executes one call after the other; use it in a `with` block.

    An error of a call is raised by the next `start` or `wait`, or at the end of the block. The block ends when the last
    call has ended. After an error in the block, an error of the last call is not raised.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._call: Future[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._pool.shutdown()
        if kind is None:
            self.wait()

    @property
    def is_busy(self) -> bool:
        """True while a call is executed."""
        return self._call is not None and not self._call.done()

    def start(self, function: Callable[..., object], *arguments: object) -> None:
        """Wait for the last call, and start the next one."""
        self.wait()
        self._call = self._pool.submit(function, *arguments)

    def wait(self) -> None:
        """Wait until the last call has ended; raise its error."""
        call, self._call = self._call, None
        if call:
            call.result()
