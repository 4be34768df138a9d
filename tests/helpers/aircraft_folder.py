"""A small FGVC-Aircraft data set in the official layout."""

import numpy as np
from pictures import photo

VARIANTS = ("737-200", "BAE 146-200", "F-16A/B", "Gulfstream IV", "DHC-8-100")
SIZE = (48, 40)
SPLITS = {"train": 2, "val": 1, "test": 2}
"""Number of images of each variant."""


def write_aircraft(root):
    """Write the data set: unsorted ids with leading zeros, and the names of the real files; return its folder."""
    data = root / "data"
    ids = np.random.default_rng(0).permutation(np.arange(34309, 34309 + 5 * len(VARIANTS)))
    rows = [
        (f"{ids[5 * label + n]:07d}", variant, split)
        for label, variant in enumerate(VARIANTS)
        for n, split in enumerate(split for split, count in SPLITS.items() for _ in range(count))
    ]
    for seed, (number, _, _) in enumerate(rows):
        photo(data / f"images/{number}.jpg", SIZE, seed)
    (data / "variants.txt").write_text("".join(f"{variant}\n" for variant in VARIANTS))
    for name, splits in {**{s: {s} for s in SPLITS}, "trainval": {"train", "val"}}.items():
        lines = [f"{number} {variant}\n" for number, variant, split in rows if split in splits]
        (data / f"images_variant_{name}.txt").write_text("".join(lines))
    boxes = [f"{number} {1 + n % 3} {2 + n % 2} {30 + n % 5} 39\n" for n, (number, _, _) in enumerate(rows)]
    (data / "images_box.txt").write_text("".join(boxes))
    return root
