"""Predictions that were made outside fgbench: read, matched with the test images, measured, kept and judged."""
