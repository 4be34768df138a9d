"""Names of the keypoints that define the parts head and body of a bird."""

HEAD = frozenset({"beak", "crown", "forehead", "left eye", "right eye", "nape", "throat"})
"""Keypoints of the head."""
BODY = frozenset({"back", "belly", "breast", "left leg", "right leg", "left wing", "right wing", "tail", "throat"})
"""Keypoints of the body. The throat is in both sets."""
PARTS = {"head": HEAD, "body": BODY}
"""Name of a part -> names of its keypoints."""
MIN_KEYPOINTS = 3
"""Number of visible keypoints that a part must have; with fewer keypoints, it has no box."""
