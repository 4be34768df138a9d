"""Imported at the start of every process of a program that knows the mini birds."""

import mini  # noqa: F401
