"""Measures: arrays in, values out."""
