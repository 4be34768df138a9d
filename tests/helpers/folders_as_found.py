"""Small data sets of each kind, and what people do to their folders."""

import subprocess

from aircraft_folder import write_aircraft
from cars_folder import write_cars
from cuhk03_folder import write_folder
from few_birds import few_birds
from reid_folders import market, viper

from fgbench.datasets import datasets, reid_datasets


def nest(folder):
    """Put the content of a folder into a folder of the same name in it."""
    outer = folder.with_name("outer")
    outer.mkdir()
    folder.rename(outer / folder.name)
    outer.rename(folder)


def write_each(root):
    """Write a small data set of each kind; return the folder of each by name of the data set."""
    few_birds(root)
    return {
        "cub": root / "CUB_200_2011",
        "aircraft": write_aircraft(root / "fgvc-aircraft-2013b"),
        "cars": write_cars(root / "stanford_cars"),
        "market1501": market(root / "Market-1501-v15.09.15"),
        "viper": viper(root / "VIPeR"),
        "cuhk03": write_folder(root / "cuhk03_release"),
    }


def index_of(name):
    """Find and read a data set, and hash its images."""
    index = (datasets if name in datasets else reid_datasets)[name].index()
    assert index.fingerprint
    return index


def move_as_told(error):
    """Run the command of an error, which is one `mv`."""
    assert error.hint.startswith(("mv ", "mkdir -p ")), error.hint
    subprocess.run(error.hint, shell=True, check=True)
