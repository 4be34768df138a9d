"""A few synthetic birds in the cache in place of those of the profile `quick`."""

from fgbench.datasets import QUICK_BIRDS
from fgbench.datasets.synthetic.birds import SyntheticBirds, generate, settings_hash
from fgbench.util.files import cache_folder

FEW = SyntheticBirds(classes=4, train_per_class=6, test_per_class=4, size=64)


def few_synthetic_birds():
    """Write them into the folder of the stand-in data; return the folder."""
    return generate(cache_folder() / "data" / f"synthetic_birds-{settings_hash(QUICK_BIRDS)}", FEW, workers=1)
