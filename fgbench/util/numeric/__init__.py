"""Numeric."""
