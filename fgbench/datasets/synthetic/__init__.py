"""Synthetic data sets: drawn images in the official layouts of real data sets.

`birds` and `pedestrians` generate the data sets. `bird_drawing` and `person_drawing` draw one image. The other modules
draw parts of an image.
"""
