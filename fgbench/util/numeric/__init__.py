"""Arithmetic on the CPU: random generators, deterministic operations, matrix products, parts of large arrays."""
