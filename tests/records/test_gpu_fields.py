"""Fields of runs on a GPU are read from their records; unknown content is left out."""

import pytest
from made_records import GPU, of_accuracy, on_gpu

from fgbench.records.gpu_fields import GpuFields, gpu_fields, head_features_text


def test_a_run_on_a_gpu_has_its_driver_its_libraries_and_where_features_were_kept():
    record = on_gpu(80.0)
    assert gpu_fields(record) == GpuFields("570.86", "12.8", 91002, tf32=False)
    assert head_features_text(record) == "classifier: float32 in the memory of the GPU"


def test_a_run_on_a_cpu_has_none():
    record = of_accuracy(80.0)
    assert gpu_fields(record) is None
    assert head_features_text(record) == ""


def test_tf32_is_allowed_if_one_kind_of_operation_may_use_it():
    gpu = GPU["gpu"] | {"tf32": {"cudnn": True, "matmul": False}}
    assert gpu_fields(on_gpu(80.0, provenance={"gpu": gpu})).tf32


def test_every_storage_of_a_stage_is_named():
    kept = {"a": ["float32 in a file", "bfloat16 in a file"], "b": ["computed again in each epoch"], "c": []}
    text = head_features_text(of_accuracy(80.0, provenance={"head_features": kept}))
    assert text == "a: float32 in a file, then bfloat16 in a file; b: computed again in each epoch"


@pytest.mark.parametrize("odd", [None, "H200", 3, ["a"], {"driver": 5, "cuda": {}, "cudnn": "9", "tf32": True}])
def test_content_of_another_kind_is_left_out(odd):
    record = of_accuracy(80.0, provenance={"gpu": odd, "head_features": odd})
    assert gpu_fields(record) in {None, GpuFields(None, None, None, None)}
    assert head_features_text(record) == ""
