"""The command line without what takes long in `fgbench nightly`: pages, the hash of the code, git and `fsync`."""

import os
from types import SimpleNamespace

from fgbench.cli import comparison_output, main
from fgbench.judge.nightly import night_comparison
from fgbench.report import build
from fgbench.util.files import write_text


def _build_report(results, folder, *rest, **more):
    write_text(folder / "index.html", "a page of fgbench")
    return build.BuiltReport(folder / "index.html", [], [], [], [], {}, [])


def judge():
    comparison_output.history_page = lambda nights: SimpleNamespace(file="history.html")
    build.build_report = _build_report
    night_comparison.hash_code = lambda: "code"
    night_comparison.git_state = lambda: {"commit": "c"}
    os.fsync = lambda handle: None
    main()
