import numpy as np

from fgbench.datasets.index import Index
from fgbench.datasets.pipeline import Pipeline
from fgbench.metrics.sample_arrays import sample_arrays


def test_scores_have_class_names(tmp_path):
    labels = np.array([1, 0, 2])
    index = Index(
        name="three", root=tmp_path, ids=np.arange(3), files=("a", "b", "c"), labels=labels, train=np.zeros(3, bool),
        classes=("001.Tern", "002.Gull", "003.Auk"),
    )  # fmt: skip
    scores = np.eye(3, dtype=np.float32)
    pipeline = Pipeline.parse("resize(100, bilinear) | center_crop(96)")
    arrays = sample_arrays({"scores": scores}, index, pipeline)
    assert set(arrays) == {"ids", "labels", "scores", "class_names"}
    assert arrays["class_names"].tolist() == ["001.Tern", "002.Gull", "003.Auk"]
    assert arrays["class_names"].dtype.kind == "U"  # can be read without pickle
    assert "class_names" not in sample_arrays({}, index, pipeline)
