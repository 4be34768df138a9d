"""Imported at the start of every process of a program that `kill_at_write` runs."""

import kill_at_write

kill_at_write.install()
