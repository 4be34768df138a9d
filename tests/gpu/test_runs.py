"""Whole runs on the simulated GPU have the values of runs on the CPU."""

import mini
import numpy as np
import pytest

from fgbench.records.store import store_of


@pytest.mark.parametrize("name", ["bcnn_dm", "fv_cnn_d", "fc_cnn_d", "fv_sift"])
def test_a_run_has_the_outputs_of_the_cpu(name, gpu_machine, tmp_path):
    expected = mini.do(mini.run_of(name), tmp_path / "cpu")
    found = mini.do(mini.run_of(name, device="cuda"), tmp_path / "gpu")
    assert found.provenance["device"] == "simulated GPU"
    arrays = [store_of(tmp_path / folder).outputs(record) for folder, record in (("cpu", expected), ("gpu", found))]
    assert arrays[0].keys() == arrays[1].keys()
    for key, values in arrays[0].items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(arrays[1][key], values, rtol=0, atol=0.05)  # training and SVM amplify rounding
        else:
            assert np.array_equal(arrays[1][key], values)
