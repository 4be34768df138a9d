"""The tables of README files are what the commands above them print."""

import pytest
from written.tables import FILES, ROOT, filled

COMMAND = "<!-- fgbench export cells --format markdown -->\n"


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_tables_of_a_file_are_what_their_commands_print(file):
    text = file.read_text(encoding="utf-8")
    assert filled(text) == text


def test_what_stood_in_a_table_is_replaced_and_what_stands_around_it_is_kept():
    text = f"before\n{COMMAND}old 12.3\n<!-- end -->\nbetween\n<!-- end -->\nafter\n"
    new = filled(text)
    assert new.startswith(f"before\n{COMMAND}\n**Numbers that the papers print.**\n\n| Paper |")
    assert new.endswith("|\n\n<!-- end -->\nbetween\n<!-- end -->\nafter\n")
    assert "old 12.3" not in new
    assert filled(new) == new


@pytest.mark.parametrize(
    "text", [COMMAND, f"{COMMAND}kept\n{COMMAND}<!-- end -->\n", "<!-- fgbench list -->\n<!-- end -->"]
)
def test_a_command_without_an_end_takes_nothing_away(text):
    with pytest.raises(SystemExit, match="has no <!-- end -->"):
        filled(text)


def test_a_command_that_fails_is_told():
    with pytest.raises(SystemExit, match="no table named 'cels'"):
        filled("<!-- fgbench export cels -->\n<!-- end -->\n")
