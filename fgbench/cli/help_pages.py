"""Help pages: the arguments of a verb by their names in capitals, as `RECIPE...`, and `-h` beside `--help`."""

from typing import Any

from typer.core import TyperCommand

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}
"""Context settings of the program; its verbs inherit them."""


class Verb(TyperCommand):
    """A verb whose arguments are written as `RECIPE...` and `[KIND]`, without types of Python and hidden ones."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words after the name of the verb in its usage line."""
        shown = [argument for argument in _arguments(self, ctx) if not getattr(argument, "hidden", False)]
        names = (_name(argument) if argument.required else f"[{_name(argument)}]" for argument in shown)
        return [self.options_metavar or "", *names]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the lists of arguments and options."""
        arguments = [
            (_name(argument), record[1])
            for argument in _arguments(self, ctx)
            if (record := argument.get_help_record(ctx))
        ]
        options = [option.get_help_record(ctx) for option in self.get_params(ctx) if not _is_argument(option)]
        for title, rows in (("Arguments", arguments), ("Options", [row for row in options if row])):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _arguments(verb: Verb, ctx: Any) -> list[Any]:
    return [parameter for parameter in verb.get_params(ctx) if _is_argument(parameter)]


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper()) + ("..." if argument.nargs != 1 else "")
