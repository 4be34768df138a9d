"""Imported at the start of every process of a program that sees the simulated GPU and knows the mini birds."""

import mini  # noqa: F401
import simulated_machine

simulated_machine.install()
