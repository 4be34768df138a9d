"""The predictions of a record as a file that `fgbench judge` reads: the same scores or keypoints, to the last bit."""

import io
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from fgbench.judge.frames import open_store
from fgbench.report.tables.parquet import check_parquet
from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.files import write_atomic, write_bytes, write_text
from fgbench.util.plain_text import spreadsheet_text

PREDICTIONS = ("predictions", "keypoints")
"""Names of these tables: scores of classes, and keypoints."""
FORMATS = {"csv": ".csv", "parquet": ".parquet", "npz": ".npz"}
"""Each format with the suffix of its files."""


def export_predictions(name: str, run_id: str, results: Path, style: str | None, out: Path | None) -> None:
    """Write the predictions of a record, with the official ids of the test images.

    Args:
        name: one of `PREDICTIONS`.
        run_id: of the record.
        results: a results folder, or a folder of records.
        style: one of `FORMATS`; None for the format of the suffix of `out`, or CSV.
        out: the file; None for standard output, which only CSV can be written to.

    Raises:
        FgbenchError: an unknown run, format or suffix, or the record keeps no such predictions.
    """
    style = _style(style, out)
    store = open_store(results)
    if not store.has(run_id):
        raise FgbenchError(f"no record {run_id} in {store.folder}; {nearest(run_id, store.run_ids())}", "name a run")
    tables = prediction_tables(store.outputs(store.read(run_id)))
    if name not in tables:
        kept = f"; it keeps {' and '.join(tables)}" if tables else ", and none that can be judged again"
        raise FgbenchError(f"the record {run_id} keeps no {'scores' if name == 'predictions' else name}{kept}")
    if style == "csv":
        text = _csv(tables[name])
        write_text(out, text) if out else sys.stdout.write(text)
    elif out is None:
        raise FgbenchError(f"the format {style} needs an output file", f"--out predictions{FORMATS[style]}")
    elif style == "parquet":
        check_parquet(out)
        frame = _frame(tables[name])
        write_atomic(out, lambda path: frame.to_parquet(path, index=False, engine="pyarrow"))
    else:
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **tables[name])
        write_bytes(out, content.getvalue())


def prediction_tables(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Return the predictions of the arrays of a record, by the name of their table, as `fgbench judge` reads them.

    A record of person search keeps the ranks of its queries, and no descriptors or distances.
    """
    tables = {}
    if "scores" in arrays and "class_names" in arrays:
        tables["predictions"] = {
            "id": arrays["ids"], "scores": arrays["scores"], "classes": arrays["class_names"],
        }  # fmt: skip
    if "keypoints" in arrays:
        tables["keypoints"] = {
            "id": arrays["ids"], "keypoints": arrays["keypoints"], "parts": arrays["part_names"],
        }  # fmt: skip
    return tables


def _style(style: str | None, out: Path | None) -> str:
    if style is None:
        by_suffix = {suffix: name for name, suffix in FORMATS.items()}
        if out and out.suffix and out.suffix not in by_suffix:
            raise FgbenchError(
                f"no format of predictions for files {out.suffix}; known: {', '.join(by_suffix)}", "--format csv"
            )
        style = by_suffix.get(out.suffix if out else "", "csv")
    if style not in FORMATS:
        raise FgbenchError(f"no format of predictions named {style!r}; {nearest(style, FORMATS)}", "--format csv")
    return style


def _frame(table: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return predictions as a table: a column for each class, or a row for each keypoint."""
    if "scores" in table:
        frame = pd.DataFrame(table["scores"], columns=table["classes"].tolist())
        frame.insert(0, "id", table["id"])
        return frame
    images, parts, _ = table["keypoints"].shape
    points = table["keypoints"].reshape(-1, 3)
    columns = dict(zip(("x", "y", "confidence"), points.T, strict=True))
    return pd.DataFrame({"id": np.repeat(table["id"], parts), "part": np.tile(table["parts"], images), **columns})


def _csv(table: Mapping[str, np.ndarray]) -> str:
    names = [str(name) for name in table.get("classes", table.get("parts", ()))]
    if formulas := [name for name in names if spreadsheet_text(name) != name]:
        raise FgbenchError(f"a spreadsheet would change the name {formulas[0]!r} in CSV", "--format npz")
    return _frame(table).to_csv(index=False, lineterminator="\n")
