"""Small re-identification data sets in the official layouts."""

import numpy as np
from PIL import Image

SIZE = (16, 32)


def image(path, seed):
    """Write a file of random pixels in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    Image.fromarray(values).save(path)


MARKET = {
    "bounding_box_train": [
        "0002_c1s1_000451_03.jpg",
        "0002_c2s1_000471_01.jpg",
        "0007_c3s3_077419_02.jpg",
        "0007_c6s1_000401_01.jpg",
        "0007_c6s1_000426_04.jpg",
    ],
    "query": ["0001_c1s1_001051_00.jpg", "0001_c2s1_000301_00.jpg", "0003_c4s6_015641_00.jpg"],
    "bounding_box_test": [
        "-1_c1s1_000401_03.jpg",
        "-1_c5s2_000401_01.jpg",
        "0000_c1s1_000151_01.jpg",
        "0001_c1s1_001051_03.jpg",
        "0001_c2s1_000301_01.jpg",
        "0001_c3s1_000551_00.jpg",
        "0003_c1s6_015641_01.jpg",
        "0003_c4s6_015641_03.jpg",
    ],
}
"""Images of each folder. The query of person 3 is from camera 4; its match is from camera 1."""


def market(root):
    """Write a data set in the layout of Market-1501."""
    for seed, file in enumerate(f"{folder}/{name}" for folder, names in MARKET.items() for name in names):
        image(root / file, seed)
    for folder in MARKET:
        (root / folder / "Thumbs.db").write_bytes(b"as in the official archive")
    return root


VIPER_PERSONS = (0, 1, 2, 3, 246, 300, 801, 873)
"""Not consecutive, as in the official files."""


def viper(root):
    """Write a data set in the layout of VIPeR."""
    for row, person in enumerate(VIPER_PERSONS):
        image(root / f"cam_a/{person:03d}_{(0, 45)[row % 2]}.bmp", row)
        image(root / f"cam_b/{person:03d}_{(90, 135, 180)[row % 3]}.bmp", 100 + row)
    (root / "README.txt").write_text("as in the official archive")
    return root
