"""Fields of the provenance that only runs on a GPU have."""

from dataclasses import dataclass
from typing import TypeVar

from fgbench.records.record import Record

Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class GpuFields:
    """Driver and libraries of the GPU of a run; a field is None if the record does not have it."""

    driver: str | None
    """Version of the driver."""
    cuda: str | None
    """Version of CUDA."""
    cudnn: int | None
    """Version of cuDNN as one number, such as 91002 for 9.10.2."""
    tf32: bool | None
    """True if float32 convolutions or matrix products were allowed to use TF32."""


def gpu_fields(record: Record) -> GpuFields | None:
    """Return the fields of the GPU of a run; None for a run without them, such as one on a CPU."""
    gpu = record.provenance.get("gpu")
    if not isinstance(gpu, dict):
        return None
    tf32 = gpu.get("tf32")
    return GpuFields(
        driver=_of_kind(gpu.get("driver"), str),
        cuda=_of_kind(gpu.get("cuda"), str),
        cudnn=_of_kind(gpu.get("cudnn"), int),
        tf32=any(tf32.values()) if isinstance(tf32, dict) else None,
    )


def head_features_text(record: Record) -> str:
    """Return where a run on a GPU kept the features of each stage that trains only the head; empty without a stage."""
    stages = record.provenance.get("head_features")
    if not isinstance(stages, dict):
        return ""
    kept = {name: ", then ".join(map(str, places)) for name, places in stages.items() if isinstance(places, list)}
    return "; ".join(f"{name}: {text}" for name, text in kept.items() if text)


def _of_kind(value: object, kind: type[Kind]) -> Kind | None:
    return value if isinstance(value, kind) else None
