"""Small per-sample arrays of each kind of run, and array files of them."""

import io

import numpy as np

N, C, P = 40, 4, 3
LABELS = np.arange(N) % C
CLASSIFIED = {"ids": np.arange(N), "labels": LABELS, "scores": np.eye(C, dtype=np.float32)[(LABELS + LABELS // 3) % C]}
LOCATED = {
    "part_names": np.array(["beak", "tail", "crown"]), "keypoints": np.ones((N, P, 3)),
    "true_keypoints": np.ones((N, P, 3)), "boxes": np.ones((N, 4)), "attention_at_parts": np.ones((N, P)),
    "attention_in_box": np.ones(N), "class_names": np.array(list("abcd")), "watched": np.zeros((N, 2), np.int16),
}  # fmt: skip
SEARCHED = {
    "ids": np.arange(5), "identities": np.arange(5), "cameras": np.ones(5, int), "split": np.full(5, "1"),
    "relevant": np.ones(5, int), "tied": np.zeros(5, bool), "first_rank": np.array([[1.0, 2]] * 3 + [[4.0, 4]] * 2),
    "ap_step": np.full((5, 2), 0.5), "ap_trapezoid": np.full((5, 2), 0.4), "inp": np.full((5, 2), 0.3),
    "shot_rank": np.ones((5, 10, 2)), "shown": np.array([0, 4]), "shown_gallery": np.full((2, 10), -1),
    "shown_right": np.zeros((2, 10), bool), "ties": np.array("mean"), "no_match": np.array("skip"),
}  # fmt: skip


def packed(arrays):
    """Return the content of an array file."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()
