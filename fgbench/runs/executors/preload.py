"""What every run needs, made once in the fork server, so that the processes of the runs have it when they start."""

import fgbench.runs.execute  # noqa: F401
from fgbench.util.code_hash import value_modules
from fgbench.util.numeric.seeding import deterministic_operations

value_modules()  # parses the source files, which each record's hash of the code needs
with deterministic_operations():  # torch imports its compiler when they are asked for
    pass
