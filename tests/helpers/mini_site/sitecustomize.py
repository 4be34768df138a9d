"""Imported at the start of every process of a program whose small networks are trained on few images."""

import mini  # noqa: F401
