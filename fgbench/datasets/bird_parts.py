"""Keypoints of birds that span the head and the body."""

HEAD = frozenset({"beak", "crown", "forehead", "left eye", "right eye", "nape", "throat"})
"""Keypoints that span the head."""


BODY = frozenset({"back", "belly", "breast", "left leg", "right leg", "left wing", "right wing", "tail", "throat"})
"""Keypoints that span the body; the throat is in both sets."""


PARTS = {"head": HEAD, "body": BODY}
"""The two parts by name."""


FEWEST = 3
"""With fewer visible keypoints of its set, a part has no box."""
