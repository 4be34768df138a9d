"""Frames per second, energy per image and the roofline bound of methods."""
