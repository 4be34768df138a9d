"""The results for readers: web pages in `html`, tables as CSV, Parquet, LaTeX and Markdown in `tables`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from fgbench.report.build import BuiltReport


class ReportModule(ModuleType):
    """The room as a module that can be called: `fgbench.report(...)`."""

    def __call__(
        self,
        results: "str | os.PathLike[str]" = "runs",
        *,
        out: "str | os.PathLike[str] | None" = None,
        benchmarks: "Sequence[str | os.PathLike[str]]" = (),
        pictures: bool = True,
    ) -> "BuiltReport":
        """Write the pages about the records of a results folder.

        Args:
            results: results folder.
            out: folder for the pages; None for `report` in the results folder.
            benchmarks: JSON files of `pytest benchmarks`; they add a page on speed.
            pictures: False to leave out all pictures of images.

        Returns:
            The first page, the records, the outcomes of printed numbers and claims, and a sentence for each record that
            is damaged or was changed and is left out.

        Raises:
            FgbenchError: there is no such results folder, the folder for the pages has pages of another program, or the
                disk is full.

        Example:
            built = fgbench.report("runs")
            print(built.first_page)
        """
        from fgbench.report.build import write_pages
        from fgbench.util.files import expand_user
        from fgbench.util.folders import no_folder_error

        folder = expand_user(Path(results))
        if not folder.is_dir():
            raise no_folder_error(folder, 'name a folder of results; fgbench.run("bcnn/bcnn_dd") makes the folder runs')
        pages = expand_user(Path(out)) if out is not None else folder / "report"
        files = [expand_user(Path(path)) for path in benchmarks]
        return write_pages(folder, pages, files, pictures=pictures)


sys.modules[__name__].__class__ = ReportModule
