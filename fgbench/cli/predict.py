"""`fgbench predict`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fgbench.cli import completion
from fgbench.cli.options import RESULTS, AsJson, Results, existing, expanded

if TYPE_CHECKING:
    from fgbench.runs.image_predictions import Prediction
    from fgbench.runs.kept_run import KeptRun


def predict(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", autocompletion=completion.runs, help="Id of a run whose network was kept, or its beginning."
        ),
    ],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", callback=expanded, help="Files of images.")],
    top: Annotated[int, typer.Option(metavar="INTEGER", min=1, help="Number of classes of each image.")] = 5,
    draw: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            callback=expanded,
            help="Folder for pictures of attention, keypoints and samples, if the method has them.",
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="TEXT", help="cpu or cuda. [default: as the run, if it is here]")
    ] = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Predict the classes of images with the network of a run."""
    from fgbench.cli.chosen_device import checked_device
    from fgbench.cli.console import Answer
    from fgbench.cli.found_runs import find_run
    from fgbench.cli.progress import Progress
    from fgbench.runs.image_predictions import predict_files
    from fgbench.runs.kept_run import open_kept_run

    run_id = find_run(existing(results), run)
    kept = open_kept_run(results, run_id, checked_device(device))
    with Answer(as_json=as_json) as answer:
        with Progress() as progress:
            bar = progress.add("images", 1.0)
            predictions = predict_files(
                kept, images, top=top, drawings=draw, report=lambda what, share: progress.set_share(bar, share)
            )
        answer.give(_facts(kept, predictions), lambda: _show(kept, predictions))


def _show(kept: "KeptRun", predictions: list["Prediction"]) -> None:
    """Print the classes and keypoints of images."""
    from fgbench.cli.console import out, table
    from fgbench.cli.function_calls import OTHER_CODE

    record = kept.record
    out(f"{record.title}, {record.profile}, seed {record.seed} ({record.run_id})")
    for prediction in predictions:
        table(str(prediction.image), _class_rows(prediction))
        table(f"{prediction.image}: keypoints", _keypoint_rows(prediction))
        for path in prediction.drawings:
            out(f"drawn: {path}")
        if prediction.note:
            out(f"note: {prediction.image}: {prediction.note}")
    if not kept.same_code:
        out(f"note: the run {OTHER_CODE}")


def _class_rows(prediction: "Prediction") -> list[dict[str, Any]]:
    return [
        {
            "place": place,
            "class": entry.name,
            "score": f"{entry.score:.4f}",
            **({} if entry.probability is None else {"probability": f"{entry.probability:.4f}"}),
        }
        for place, entry in enumerate(prediction.classes, 1)
    ]


def _keypoint_rows(prediction: "Prediction") -> list[dict[str, Any]]:
    return [
        {"part": part, "x": f"{x:.1f}", "y": f"{y:.1f}", "confidence": f"{confidence:.4f}"}
        for part, (x, y, confidence) in prediction.keypoints.items()
    ]


def _facts(kept: "KeptRun", predictions: list["Prediction"]) -> dict[str, Any]:
    """Return predictions with their origin as plain values, with full precision."""
    record = kept.record
    return {
        "run": record.run_id,
        "title": record.title,
        "network_sha256": record.network_sha256,
        "same_code": kept.same_code,
        "images": [
            {
                "image": str(prediction.image),
                "classes": [
                    {"class": entry.name, "score": entry.score, "probability": entry.probability}
                    for entry in prediction.classes
                ],
                "keypoints": [
                    {"part": part, "x": x, "y": y, "confidence": confidence}
                    for part, (x, y, confidence) in prediction.keypoints.items()
                ],
                "drawings": [str(path) for path in prediction.drawings],
                "note": prediction.note,
            }
            for prediction in predictions
        ],
    }
