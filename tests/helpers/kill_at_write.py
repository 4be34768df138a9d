"""Programs that end at their n-th change of files below a folder: killed, or with a full disk.

`WarmProgram` imports fgbench once and forks for each call, so that a call takes as long as its work. All processes of a
call count together: `sitecustomize` of `tests/helpers/kill_at_write_site` installs the counter in those that it starts.

    with WarmProgram() as program:
        ended = program.run(["nightly", "--results", str(folder)], folder, at=3, how="torn")
        assert ended.died, ended.output

`at=0` only counts. `endings` is the loop over all n.
"""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Self

HOW = ("kill", "torn", "full")
"""`kill`: the process group is killed before the n-th operation. `torn`: it is killed in the middle of the first write
after the n-th operation. `full`: from the n-th operation on, no file or folder can be made below the folder."""
SITE = Path(__file__).with_name("kill_at_write_site")
SETTINGS = "KILL_AT_WRITE"
TORN_BYTES = 16
"""Number of bytes of a torn file."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
PATHS = {"os.rename": ((0, 2), (1, 3)), "os.remove": ((0, 1),), "os.mkdir": ((0, 2),), "os.rmdir": ((0, 1),),
         "os.link": ((1, 3),), "os.symlink": ((1, 2),), "os.truncate": ((0, None),)}  # fmt: skip
"""Audit event -> positions of each path and of the descriptor of its folder."""


@dataclass(frozen=True)
class Ended:
    code: int
    """Exit code; negative for a signal."""
    operations: int
    """Number of operations."""
    last: str
    """The operation at which the program was killed or the disk was full; empty if it was not reached."""
    output: str

    @property
    def died(self) -> bool:
        return bool(self.last)


class WarmProgram:
    """A process that has imported a program, and runs it in a forked process for each call.

    Args:
        program: `module:function`, called without arguments.
        preload: modules to import.
    """

    def __init__(self, program: str = "fgbench.cli:main", preload: Sequence[str] = ()) -> None:
        self._command = [sys.executable, __file__, program, *preload]

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._environment()
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._server.stdin.close()
        self._server.wait()

    @staticmethod
    def _environment() -> dict[str, str]:
        """Return the environment of the test as it is now: a test may have changed it since the server was started."""
        return {**os.environ, "PYTHONPATH": os.pathsep.join([str(SITE), str(SITE.parent), *sys.path[1:]])}

    def run(
        self, arguments: Sequence[str], folder: Path | None = None, *, at: int = 0, how: str = "kill",
        env: dict[str, str] | None = None, stdout: str = "", limit_s: int = 120,
    ) -> Ended:  # fmt: skip
        """Run the program; it ends at operation `at` below `folder`. A program over the limit of time is an error.

        The output is that of standard output and standard error, or of standard error if `stdout` is a path.
        """
        assert how in HOW
        with tempfile.TemporaryDirectory() as place:
            settings = {"folder": str(folder.resolve()) if folder else "", "at": at, "how": how, "log": place}
            environment = {**self._environment(), **(env or {}), SETTINGS: json.dumps(settings)}
            call = {"arguments": list(arguments), "cwd": str(Path.cwd()), "output": f"{place}/output", "stdout": stdout,
                    "env": environment, "limit_s": limit_s}  # fmt: skip
            self._server.stdin.write(json.dumps(call) + "\n")
            self._server.stdin.flush()
            code = int(self._server.stdout.readline())
            texts = [Path(place, name) for name in ("count", "last", "output")]
            done, last, output = (path.read_text(errors="replace") if path.exists() else "" for path in texts)
        assert code != -signal.SIGALRM, f"the program hangs: {arguments}, {how} at {at}\n{output}"
        return Ended(code, len(done), last, output)


def endings(
    program: WarmProgram, arguments: Callable[[Path], Sequence[str]], make: Callable[[], Path], how: str, step: int = 1
) -> Iterator[tuple[Ended, Path]]:
    """End a program at operation 1, 1 + step, ... until an operation is not reached.

    Args:
        program: the program.
        arguments: of the folder.
        make: makes the folder anew.
        how: one of `HOW`.
        step: distance of the operations.

    Yields:
        How the program ended, and the folder as it left it.
    """
    at = 1
    while True:
        folder = make()
        ended = program.run(arguments(folder), folder, at=at, how=how)
        if not ended.died:
            return
        yield ended, folder
        at += step


class _Counter:
    """Audit hook that counts operations and ends the process."""

    def __init__(self, folder: str, at: int, how: str, log: str) -> None:
        self.folder, self.at, self.how, self.log = folder, at, how, log
        self.armed = self.busy = False
        self.count = os.open(f"{log}/count", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        if how == "torn":
            signal.signal(signal.SIGXFSZ, lambda *_: self.kill())

    def kill(self) -> None:
        os.killpg(0, signal.SIGKILL)

    def below(self, path: Any, folder: Any) -> bool:
        if isinstance(path, int):
            return False
        parent = Path(f"/proc/self/fd/{folder}").readlink() if isinstance(folder, int) and folder >= 0 else Path.cwd()
        return os.path.normpath(parent / os.fsdecode(path)).startswith(f"{self.folder}{os.sep}")

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.busy or (event != "open" and event not in PATHS):
            return
        self.busy = True
        try:
            self.see(event, arguments)
        finally:
            self.busy = False

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            if not (isinstance(arguments[2], int) and arguments[2] & WRITES and self.below(arguments[0], None)):
                return
        elif not any(self.below(arguments[k], None if d is None else arguments[d]) for k, d in PATHS[event]):
            return
        if self.armed:  # nothing was written since
            self.kill()
        os.write(self.count, b".")
        number = os.fstat(self.count).st_size
        if not self.at or number < self.at:
            return
        if number == self.at:
            Path(self.log, "last").write_text(f"{number}: {event} {arguments[0]}")
        if self.how == "kill":
            self.kill()
        elif self.how == "torn":
            self.armed = True
            resource.setrlimit(resource.RLIMIT_FSIZE, (TORN_BYTES, resource.RLIM_INFINITY))
        elif event in {"open", "os.mkdir"}:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), arguments[0])


def install() -> None:
    """Count the operations of this process, if the environment asks for it."""
    if (text := os.environ.get(SETTINGS)) and (settings := json.loads(text))["folder"]:
        sys.addaudithook(_Counter(**settings))


def _serve(program: str, preload: Sequence[str]) -> None:
    """Read calls from standard input, fork for each, and write its exit code."""
    module, _, function = program.partition(":")
    for name in (module, *preload):
        import_module(name)
    for line in sys.stdin:
        call = json.loads(line)
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            print(os.waitstatus_to_exitcode(status), flush=True)
            continue
        os.setsid()
        signal.alarm(call["limit_s"])
        output = os.open(call["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(os.open(call["stdout"], os.O_WRONLY) if call["stdout"] else output, 1)
        os.dup2(output, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.clear()
        os.environ.update(call["env"])
        os.chdir(call["cwd"])
        sys.argv = ["fgbench", *call["arguments"]]
        install()
        code = 0
        try:
            getattr(sys.modules[module], function)()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:  # noqa: BLE001 - the server goes on
            sys.excepthook(*sys.exc_info())
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2:])
