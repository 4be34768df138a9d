"""All verbs of the command line, as the tests that go over them need them."""

from typer.main import get_command

from fgbench import cli


def commands():
    """Return every group and verb: words after `fgbench` -> command."""
    found = {}
    waiting = [((), get_command(cli.app))]
    while waiting:
        words, command = waiting.pop()
        found[words] = command
        waiting += [((*words, name), inner) for name, inner in getattr(command, "commands", {}).items()]
    return dict(sorted(found.items()))


COMMANDS = commands()
GROUPS = {words: command for words, command in COMMANDS.items() if hasattr(command, "commands")}
VERBS = {words: command for words, command in COMMANDS.items() if words not in GROUPS}
