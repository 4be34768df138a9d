import os

import pytest

from fgbench.datasets.synthetic.generation import draw_images, new_folder
from fgbench.util.errors import FgbenchError


def job_and_process(job):
    return job, os.getpid()


def test_new_folder_is_complete_or_absent(tmp_path):
    root = tmp_path / "made/folder"
    with new_folder(root) as folder:
        (folder / "file").write_text("content")
        assert not root.exists()
    assert (root / "file").read_text() == "content"
    with pytest.raises(FgbenchError, match="already exists"), new_folder(root):
        pass
    with pytest.raises(RuntimeError), new_folder(tmp_path / "made/other"):
        raise RuntimeError
    assert list(root.parent.iterdir()) == [root]


def test_images_are_drawn_in_order_by_worker_processes():
    jobs = list(range(40))
    assert draw_images(job_and_process, jobs, 1) == [(job, os.getpid()) for job in jobs]
    results = draw_images(job_and_process, jobs, 2)
    assert [job for job, _ in results] == jobs
    assert os.getpid() not in {process for _, process in results}
