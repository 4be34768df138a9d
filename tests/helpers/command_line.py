"""The command line of fgbench, in this process or in one of its own."""

import json
import subprocess
import sys

from typer.testing import CliRunner

from fgbench import cli

CALL = CliRunner()


def run(*arguments, monkeypatch=None):
    """Run the command line in this process; return the exit code and the output."""
    result = CALL.invoke(cli.app, arguments)
    text = result.output
    if result.exception and not isinstance(result.exception, SystemExit):
        text += str(result.exception)
    return result.exit_code, text


def answer_of(*arguments):
    """Run the command line in this process; return the exit code and standard output, which is one JSON value."""
    result = CALL.invoke(cli.app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, json.loads(result.stdout)


def program(*arguments):
    """Run the command line in a process of its own."""
    return subprocess.run([sys.executable, "-m", "fgbench", *arguments], capture_output=True, text=True, check=False)
