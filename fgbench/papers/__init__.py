"""Printed tables, claims and recipes of the papers."""
