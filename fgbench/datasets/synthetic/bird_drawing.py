"""Draw one bird with exact keypoints: a profile in body coordinates is posed, shaded and placed in a scene."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from fgbench.datasets.synthetic.plumage import Pose, plumage, wing_outline
from fgbench.datasets.synthetic.scenery import Occlusion, backdrop, foreground, perch
from fgbench.datasets.synthetic.species import Species

SUPERSAMPLING = 3
"""Scenes are drawn at this multiple of the final size."""
KEYPOINTS = (
    "back", "beak", "belly", "breast", "crown", "forehead", "left eye", "left leg", "left wing", "nape",
    "right eye", "right leg", "right wing", "tail", "throat",
)  # fmt: skip
"""The 15 keypoints in the order of CUB-200-2011."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """An image of a bird with its annotations."""

    image: Image.Image
    box: tuple[float, float, float, float]
    """x, y, width, height in pixels. The box includes occluded parts of the bird and ends at the border."""
    keypoints: np.ndarray
    """(15, 3): x, y in pixels, and 1. Zeros if the keypoint is occluded, on the far side or outside the image."""


def draw_bird(bird: Species, size: tuple[int, int], rng: np.random.Generator) -> Drawing:
    """Draw an individual of a species in a scene.

    Args:
        bird: the species.
        size: width and height in pixels.
        rng: generator that determines the individual, its pose and the scene. The scene does not depend on the species.
    """
    canvas = (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING)
    pose = _pose(canvas, rng)
    # From back to front: background, perch, bird, leaves.
    picture = backdrop(canvas, rng)
    feet = pose.place(np.array([[-0.02, 0.36]]))[0]
    perch(picture, feet, pose.scale, rng)
    feathers, mask = plumage(bird, pose, canvas, rng)
    picture.paste(feathers, mask=mask)
    occluded = foreground(picture, pose.centre, pose.scale, rng)
    keypoints = _keypoints(bird, pose, canvas, occluded)
    left, top, right, bottom = mask.getbbox() or (0, 0, *canvas)
    box = tuple(value / SUPERSAMPLING for value in (left, top, right - left, bottom - top))
    keypoints = keypoints / (SUPERSAMPLING, SUPERSAMPLING, 1)
    return Drawing(_photograph(picture, size, rng), box, keypoints)  # type: ignore[arg-type]


def _pose(canvas: tuple[int, int], rng: np.random.Generator) -> Pose:
    """Draw a random position, size and posture."""
    width, height = canvas
    scale = min(canvas) * rng.uniform(0.36, 0.72)
    room = np.array([width, height]) / 2 - 0.5 * scale
    centre = np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * np.maximum(room, 0.05 * min(canvas))
    return Pose(
        centre=centre,
        scale=float(scale),
        tilt=float(rng.normal(0.3, 0.28)),
        nod=float(rng.normal(-0.25, 0.3)),
        faces_left=bool(rng.random() < 0.5),
        wing=float(rng.uniform(0.6, 1.0)) if rng.random() < 0.15 else 0.0,
        stretch=float(rng.uniform(0.78, 1.0)),
    )


def _keypoints(bird: Species, pose: Pose, canvas: tuple[int, int], occluded: Occlusion) -> np.ndarray:
    """Return the keypoints (15, 3) in pixels of the supersampled canvas."""
    wing = wing_outline(pose.wing)
    near, far = ("left", "right") if pose.faces_left else ("right", "left")
    low = 0.20 + 0.07 * bird.plump
    body = {
        "back": (0.02, -0.23 - 0.03 * bird.plump),
        "belly": (-0.12, low - 0.06),
        "breast": (0.28, 0.06),
        "tail": (-0.46 - 0.7 * bird.tail_length, 0.065),
        f"{near} leg": (-0.03, 0.27),
        f"{far} leg": (0.09, 0.27),
        f"{near} wing": tuple(wing.mean(axis=0)),
    }
    if pose.wing:
        body[f"{far} wing"] = tuple(wing[np.argmin(wing[:, 1])] + np.array([0.1, 0.02]))
    head = {
        "beak": (0.52 + 0.6 * bird.bill_length, -0.2),
        "crown": (0.36, -0.37),
        "forehead": (0.485, -0.31),
        "nape": (0.21, -0.24),
        "throat": (0.38, -0.06),
        f"{near} eye": (0.41, -0.235),
    }
    keypoints = np.zeros((len(KEYPOINTS), 3))
    for points, on_head in ((body, False), (head, True)):
        for name, point in points.items():
            x, y = pose.place(np.array([point]), head=on_head)[0]
            if 0 <= x < canvas[0] and 0 <= y < canvas[1] and not occluded(x, y):
                keypoints[KEYPOINTS.index(name)] = (x, y, 1)
    return keypoints


def _photograph(picture: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Scale the scene to `size`; apply blur, gamma, exposure, white balance and sensor noise."""
    small = picture.resize(size, Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.9)))
    pixels = np.asarray(small, dtype=np.float32) / 255
    pixels = pixels ** rng.uniform(0.75, 1.35) * rng.uniform(0.85, 1.15) * rng.normal(1, 0.05, 3)
    pixels = pixels + rng.normal(0, rng.uniform(0.005, 0.03), pixels.shape)
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))
