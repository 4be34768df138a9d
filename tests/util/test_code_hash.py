"""Edits of copies of the package that change the hash of the code, and edits that do not."""

import ast
import shutil
from pathlib import Path

import pytest

from fgbench.util.code_hash import NOT_VALUE_CODE, PACKAGE, VALUE_CODE, hash_code, value_modules

ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
VALUE_ROOMS = {name.split(".")[1] for name in VALUE_CODE}
CANNOT_CHANGE_VALUES = {
    "fgbench.papers": "a package without code of its own",
    "fgbench.papers.recipes": "the id contains the settings of the recipe",
    "fgbench.records": "a package without code of its own",
    "fgbench.records.external": "fields of the file",
    "fgbench.records.kept_networks": "the id contains the hash of the file",
    "fgbench.records.phase_log": "time, memory and energy",
    "fgbench.records.pictures": "pictures are not values",
    "fgbench.records.provenance": "describes the machine",
    "fgbench.records.record": "fields of the file",
    "fgbench.records.store": "writes what was computed",
    "fgbench.runs.planning": "the id contains the plan",
    "fgbench.runs.run": "the id contains the run",
    "fgbench.runs.run_loggers": "reads what was computed",
    "fgbench.runs.training.training_log": "reads what was computed",
    "fgbench.statistics": "re-exports; the intervals are hashed",
    "fgbench.util": "a package without code of its own",
    "fgbench.util.background": "writes what was computed",
    "fgbench.util.checked_rows": "verifies and keeps rows as they were computed",
    "fgbench.util.child_process": "calls functions of hashed modules",
    "fgbench.util.counted": "messages",
    "fgbench.util.damaged": "sets damaged files aside",
    "fgbench.util.device_memory": "the free memory of a GPU decides the size of batches, not what is computed",
    "fgbench.util.download": "the downloaded files are hashed",
    "fgbench.util.errors": "messages",
    "fgbench.util.files": "reads and writes whole files",
    "fgbench.util.folders": "names finished folders",
    "fgbench.util.gpu_board": "energy",
    "fgbench.util.hashing": "a changed hash is another id by itself",
    "fgbench.util.json_toml": "the parsed recipes and data are hashed",
    "fgbench.util.locks": "locks of files",
    "fgbench.util.matlab_files": "the weight files and the parsed annotations are hashed",
    "fgbench.util.memory": "releases memory",
    "fgbench.util.placeholders": "refuses files",
    "fgbench.util.plain_text": "escape sequences in titles; files and classes with control characters are refused",
    "fgbench.util.processes": "ends processes",
    "fgbench.util.registry": "finds methods and data sets by name",
    "fgbench.util.torch_compat": "lets torchvision be imported",
    "fgbench.util.torch_files": "verifies and keeps tensors as they were computed",
    "fgbench.util.validation": "refuses files; the id contains the settings read from them",
}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A copy that no test edits."""
    return Path(shutil.copytree(PACKAGE, tmp_path_factory.mktemp("original") / "fgbench"))


@pytest.fixture(scope="module")
def before(original):
    return hash_code(package=original)


@pytest.fixture
def package(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "fgbench"))


def replace(path, old, new):
    text = path.read_text()
    assert old in text, (path, old)
    path.write_text(text.replace(old, new, 1))


def test_a_copy_has_the_same_hash(package, before):
    assert hash_code(package=package) == before


def test_docstrings_and_comments_of_every_file_do_not_change_the_hash(package, before):
    edited = 0
    for path in sorted(package.rglob("*.py")):
        text = path.read_text()
        first = ast.parse(text).body[:1]
        if first and isinstance(first[0], ast.Expr):
            lines = text.splitlines(keepends=True)
            path.write_text(
                '"""Another docstring."""  # a comment\n\n' + "".join(lines[first[0].end_lineno :]) + "\n# end\n"
            )
            edited += 1
    assert edited > 150
    assert hash_code(package=package) == before


def test_docstrings_of_functions_classes_and_fields_do_not_change_the_hash(package, before):
    path = package / "metrics/values.py"
    text = path.read_text()
    inner = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr) and node.col_offset]
    docstrings = [node for node in inner if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)]
    assert len(docstrings) > 5
    lines = text.splitlines()
    for node in sorted(docstrings, key=lambda node: -node.lineno):
        lines[node.lineno - 1 : node.end_lineno] = [" " * node.col_offset + '"""Another."""']
    path.write_text("\n".join(lines))
    assert hash_code(package=package) == before


def test_formatting_and_messages_of_errors_do_not_change_the_hash(package, before, original):
    replace(package / "metrics/accuracy.py", "\ndef ", "\n\n\n# a comment\ndef ")
    for path in (package / "metrics").glob("*.py"):
        path.write_text(path.read_text().replace('Error(f"', 'Error(f"please note: '))
    assert (package / "metrics/accuracy.py").read_text() != (original / "metrics/accuracy.py").read_text()
    assert hash_code(package=package) == before


def test_a_file_that_nothing_imports_does_not_change_the_hash(package, before):
    for room in ROOMS:
        (package / room / "unused_file.py").write_text("X = 1\n")
    assert hash_code(package=package) == before
    replace(
        package / "metrics/accuracy.py",
        "import numpy as np\n",
        "import numpy as np\nimport fgbench.metrics.unused_file\n",
    )
    assert hash_code(package=package) != before


def constants():
    """Module-level numbers of the hashed code: for each room, (file, its name) of the first that is found."""
    first = {}
    for name, path in sorted(value_modules().items()):
        for node in ast.parse(path.read_text()).body:
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Constant)
                and type(node.value.value) in (int, float)
            ):
                first.setdefault(name.split(".")[1], (path.relative_to(PACKAGE).as_posix(), node.targets[0].id))
    return first


def test_every_room_of_value_code_has_a_constant_to_edit():
    assert {"datasets", "layers", "metrics", "runs", "statistics"} <= set(constants())


@pytest.mark.parametrize(("file", "name"), constants().values())
def test_an_edit_of_a_constant_changes_the_hash(package, before, file, name):
    replace(package / file, f"\n{name} = ", f"\n{name} = 2 * ")
    assert hash_code(package=package) != before


@pytest.mark.parametrize("name", VALUE_CODE)
def test_new_code_in_value_code_changes_the_hash(package, before, name):
    modules = [module for module in value_modules(package) if f"{module}.".startswith(f"{name}.")]
    path = value_modules(package)[modules[-1]]
    path.write_text(path.read_text() + "\nANOTHER_CONSTANT = 1\n")
    assert hash_code(package=package) != before


def test_another_confidence_of_intervals_changes_the_hash(package, before):
    replace(package / "statistics/intervals.py", "confidence: float = 0.95", "confidence: float = 0.9")
    assert hash_code(package=package) != before


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in VALUE_ROOMS])
def test_other_rooms_do_not_change_the_hash(package, before, room):
    for path in (package / room).rglob("*.py"):
        path.write_text(path.read_text() + "\nANOTHER_CONSTANT = 1\n")
    assert hash_code(package=package) == before


@pytest.mark.parametrize(
    "file", ["statistics/paired.py", "statistics/__init__.py", "util/errors.py", "runs/planning.py"]
)
def test_neighbours_of_value_code_do_not_change_the_hash(package, before, file):
    path = package / file
    path.write_text(path.read_text() + "\nANOTHER_CONSTANT = 1\n")
    assert hash_code(package=package) == before


def test_every_imported_module_is_hashed_or_cannot_change_values():
    names = {name: path for path in PACKAGE.rglob("*.py") if (name := _name(path))}
    hashed = value_modules()
    imported = {name for path in hashed.values() for name in _imports(path) if name in names}
    assert imported - set(hashed) == set(CANNOT_CHANGE_VALUES)
    assert all(any(f"{name}.".startswith(f"{place}.") for place in VALUE_CODE) for name in hashed)
    assert not any(f"{name}.".startswith(f"{place}.") for place in NOT_VALUE_CODE for name in hashed)


def _name(path):
    parts = ["fgbench", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[:end]) for end in range(2, len(parts) + 1))


def test_the_code_of_another_package_is_hashed_without_its_comments(tmp_path, monkeypatch):
    module = tmp_path / "some_plug_in.py"
    module.write_text('"""A method."""\nX = 1\n')
    monkeypatch.syspath_prepend(tmp_path)
    __import__("some_plug_in")
    first = hash_code("some_plug_in")
    assert first != hash_code()
    module.write_text('"""Another docstring."""\n\n\nX = 1  # a comment\n')
    assert hash_code("some_plug_in") == first
    module.write_text("X = 2\n")
    assert hash_code("some_plug_in") != first
