"""Two classes of CUB-200-2011 with four test images and two parts, under their official names and ids."""

import numpy as np
from PIL import Image

IMAGES = {
    1: ("001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg", 0),
    2: ("001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg", 1),
    3: ("001.Black_footed_Albatross/Black_Footed_Albatross_0002_55.jpg", 0),
    4: ("001.Black_footed_Albatross/Black_Footed_Albatross_0074_59.jpg", 1),
    61: ("002.Laysan_Albatross/Laysan_Albatross_0002_1027.jpg", 0),
    62: ("002.Laysan_Albatross/Laysan_Albatross_0003_1033.jpg", 1),
    63: ("002.Laysan_Albatross/Laysan_Albatross_0082_524.jpg", 0),
    64: ("002.Laysan_Albatross/Laysan_Albatross_0044_784.jpg", 1),
}
"""Id -> file, and 1 for a training image."""
CLASSES = ("001.Black_footed_Albatross", "002.Laysan_Albatross")
PARTS = ("back", "beak")
TEST_IDS = [number for number, (_, train) in IMAGES.items() if not train]
TEST_FILES = [IMAGES[number][0].rpartition("/")[2] for number in TEST_IDS]
POINTS = {"back": (40.0, 30.0), "beak": (60.0, 20.0)}
"""Part -> x and y of the true keypoint, which are equal in all images; the box is 100 px wide."""


def few_birds(data):
    """Write the data set into a folder of data sets; return that folder."""
    root = data / "CUB_200_2011"
    (root / "parts").mkdir(parents=True)
    for number, (file, _) in IMAGES.items():
        path = root / "images" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((80, 120, 3), number, np.uint8)).save(path)
    label = {number: CLASSES.index(file.partition("/")[0]) + 1 for number, (file, _) in IMAGES.items()}
    lines = {
        "images.txt": [f"{number} {file}" for number, (file, _) in IMAGES.items()],
        "image_class_labels.txt": [f"{number} {label[number]}" for number in IMAGES],
        "train_test_split.txt": [f"{number} {train}" for number, (_, train) in IMAGES.items()],
        "bounding_boxes.txt": [f"{number} 10 10 100 60" for number in IMAGES],
        "classes.txt": [f"{number} {name}" for number, name in enumerate(CLASSES, 1)],
        "parts/parts.txt": [f"{number} {name}" for number, name in enumerate(PARTS, 1)],
        "parts/part_locs.txt": [
            f"{image} {number} {x} {y} 1" for image in IMAGES for number, (x, y) in enumerate(POINTS.values(), 1)
        ],
    }
    for name, text in lines.items():
        (root / name).write_text("\n".join(text) + "\n")
    return data
