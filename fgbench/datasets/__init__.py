"""Registry of data sets: location, reader, official hashes and counts of each.

`datasets` holds the data sets for classification, `reid_datasets` those for re-identification. `find` searches both,
and makes a data set of a folder with images of the user.
"""

from pathlib import Path

from fgbench.datasets import (
    aircraft,
    cars,
    cub,
    cuhk03,
    cuhk03_extracted,
    cuhk03_mat,
    image_folder,
    market1501,
    nabirds,
    viper,
)
from fgbench.datasets.dataset_base import Archive, DatasetBase
from fgbench.datasets.index import Index
from fgbench.datasets.reid import ReidIndex
from fgbench.datasets.synthetic import birds, pedestrians
from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.registry import Registry


class Dataset(DatasetBase[Index]):
    """A data set for classification."""

    __slots__ = ()


class OwnImages(Dataset):
    """A folder with images of the user; `folder` is its whole path."""

    __slots__ = ()

    def find(self) -> Path:
        """Return the folder.

        Raises:
            FgbenchError: it does not exist, or is a file.
        """
        return image_folder.existing_folder(Path(self.folder))


class ReidDataset(DatasetBase[ReidIndex]):
    """A data set for re-identification."""

    __slots__ = ()


datasets: Registry[Dataset] = Registry(
    "dataset", lambda candidate: isinstance(candidate, Dataset), "a fgbench.datasets.Dataset"
)
reid_datasets: Registry[ReidDataset] = Registry(
    "reid_dataset", lambda candidate: isinstance(candidate, ReidDataset), "a fgbench.datasets.ReidDataset"
)


def names() -> list[str]:
    """Return the names of all data sets, those for classification first."""
    return [*datasets, *reid_datasets]


def find(name: str) -> Dataset | ReidDataset:
    """Return the data set called `name`, of either kind. `imagefolder:PATH` is a folder with images of the user.

    Raises:
        FgbenchError: there is no such data set. The message suggests the most similar name.
    """
    if name.startswith(image_folder.PREFIX):
        folder = image_folder.folder_of(name)
        title = image_folder.title_of(folder)
        return OwnImages(f"{image_folder.PREFIX}{folder}", title, str(folder), image_folder.load)
    if name in reid_datasets:
        return reid_datasets[name]
    if name in datasets:
        return datasets[name]
    raise FgbenchError(f"no dataset named {name!r}; {nearest(name, names())}", image_folder.folder_hint(name))


def _by_names(folder: Path) -> bool:
    """Return True: no other data set has files of the needed names."""
    return folder.is_dir()


datasets("cub")(
    Dataset(
        name="cub",
        title="CUB-200-2011",
        folder=cub.FOLDER,
        load=cub.load,
        needed=("images.txt", "images"),
        fits=cub.fits,
        official=cub.OFFICIAL,
        counts=cub.COUNTS,
        tables=cub.TABLES,
        archive=Archive(cub.URL, cub.MD5, cub.PAGE),
    )
)

datasets("aircraft")(
    Dataset(
        name="aircraft",
        title="FGVC-Aircraft 2013b",
        folder=aircraft.FOLDER,
        load=aircraft.load,
        needed=("data/variants.txt", "data/images"),
        other_layouts=(aircraft.WITHOUT_SUFFIX,),
        fits=_by_names,
        tables=aircraft.TABLES,
        counts=aircraft.COUNTS,
        archive=Archive(aircraft.URL, aircraft.MD5, aircraft.PAGE),
    )
)

datasets("cars")(
    Dataset(
        name="cars",
        title="Stanford Cars",
        folder=cars.FOLDER,
        load=cars.load,
        needed=("devkit/cars_meta.mat",),
        other_layouts=cars.OTHER_LAYOUTS,
        fits=_by_names,
        official=cars.OFFICIAL,
        tables=cars.TABLES,
        counts=cars.COUNTS,
        archive=Archive("", "", cars.PAGE, cars.NO_URL_REASON, cars.FILES),
    )
)

datasets("nabirds")(
    Dataset(
        name="nabirds",
        title="NABirds",
        folder=nabirds.FOLDER,
        load=nabirds.load,
        needed=("images.txt", "images"),
        fits=nabirds.fits,
        tables=nabirds.TABLES,
        counts=nabirds.COUNTS,
        archive=Archive("", "", nabirds.PAGE, nabirds.NO_URL_REASON, nabirds.FILES),
    )
)

QUICK_BIRDS = birds.SyntheticBirds()

datasets("synthetic_birds")(
    Dataset(
        name="synthetic_birds",
        title="synthetic birds",
        folder=f"synthetic_birds-{birds.settings_hash(QUICK_BIRDS)}",
        load=cub.load,
        needed=("images.txt", "images"),
        make=lambda folder: birds.generate(folder, QUICK_BIRDS),
    )
)

reid_datasets("market1501")(
    ReidDataset(
        name="market1501",
        title="Market-1501",
        folder=market1501.FOLDER,
        load=market1501.load,
        needed=(market1501.TRAIN, market1501.QUERY, market1501.GALLERY),
        other_folders=("market1501",),
        fits=market1501.fits,
        tables=market1501.TABLES,
        counts=market1501.COUNTS,
        archive=Archive("", "", market1501.PAGE, market1501.NO_URL_REASON, market1501.FILES),
    )
)

reid_datasets("viper")(
    ReidDataset(
        name="viper",
        title="VIPeR",
        folder=viper.FOLDER,
        load=viper.load,
        needed=viper.CAMERAS,
        other_folders=("viper",),
        fits=viper.fits,
        tables=viper.TABLES,
        counts=viper.COUNTS,
        archive=Archive(viper.URL, viper.MD5, viper.PAGE),
    )
)

reid_datasets("cuhk03")(
    ReidDataset(
        name="cuhk03",
        title="CUHK03, labelled boxes",
        folder=cuhk03.FOLDER,
        load=cuhk03.load,
        needed=(cuhk03_mat.MAT,),
        other_layouts=(cuhk03_extracted.LAYOUTS["labeled"],),
        fits=_by_names,
        other_folders=cuhk03.OTHER_FOLDERS,
        tables=cuhk03.TABLES["labeled"],
        counts=cuhk03.COUNTS["labeled"],
        archive=Archive("", "", cuhk03.PAGE, cuhk03.NO_URL_REASON, cuhk03.FILES),
    )
)

reid_datasets("cuhk03_detected")(
    ReidDataset(
        name="cuhk03_detected",
        title="CUHK03, detected boxes",
        folder=cuhk03.FOLDER,
        load=cuhk03.load_detected,
        needed=(cuhk03_mat.MAT,),
        other_layouts=(cuhk03_extracted.LAYOUTS["detected"],),
        fits=_by_names,
        other_folders=cuhk03.OTHER_FOLDERS,
        tables=cuhk03.TABLES["detected"],
        counts=cuhk03.COUNTS["detected"],
        archive=Archive("", "", cuhk03.PAGE, cuhk03.NO_URL_REASON, cuhk03.FILES),
    )
)

QUICK_PEDESTRIANS = pedestrians.SyntheticPedestrians()

reid_datasets("synthetic_pedestrians")(
    ReidDataset(
        name="synthetic_pedestrians",
        title="synthetic pedestrians",
        folder=f"synthetic_pedestrians-{pedestrians.settings_hash(QUICK_PEDESTRIANS)}",
        load=market1501.load,
        needed=(market1501.TRAIN, market1501.QUERY, market1501.GALLERY),
        make=lambda folder: pedestrians.generate(folder, QUICK_PEDESTRIANS),
    )
)
