"""The command line of fgbench, in this process or in one of its own."""

import subprocess
import sys

from typer.testing import CliRunner

from fgbench import cli

CALL = CliRunner()


def run(*arguments, monkeypatch=None):
    """The program as a user starts it, in this process: (exit code, output)."""
    result = CALL.invoke(cli.app, arguments)
    text = result.output
    if result.exception and not isinstance(result.exception, SystemExit):
        text += str(result.exception)
    return result.exit_code, text


def program(*arguments):
    return subprocess.run([sys.executable, "-m", "fgbench", *arguments], capture_output=True, text=True, check=False)
