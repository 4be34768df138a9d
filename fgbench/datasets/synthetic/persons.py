"""An endless list of persons. They differ in clothes, hair, build and bags."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

SKINS: tuple[Colour, ...] = ((236, 200, 174), (222, 180, 148), (196, 148, 112), (150, 104, 74), (96, 66, 50))
HAIRS: tuple[Colour, ...] = ((24, 20, 20), (44, 32, 26), (84, 58, 38), (140, 104, 62), (150, 146, 142), (112, 54, 34))
TOPS: tuple[Colour, ...] = (
    (232, 232, 228), (34, 34, 38), (112, 114, 118), (52, 72, 120), (150, 42, 44), (62, 104, 72), (212, 180, 70),
    (128, 166, 200), (214, 138, 158), (110, 66, 120), (206, 110, 48), (172, 156, 126), (44, 120, 126), (92, 70, 52),
)  # fmt: skip
"""Colours of shirts and jackets. Several are similar."""
BOTTOMS: tuple[Colour, ...] = (
    (30, 30, 34), (44, 52, 78), (70, 88, 128), (96, 98, 102), (150, 136, 108), (206, 202, 194), (82, 62, 48),
    (62, 76, 58), (140, 48, 60),
)  # fmt: skip
BOTTOM_PROBABILITIES = (0.26, 0.2, 0.18, 0.1, 0.09, 0.06, 0.05, 0.03, 0.03)
"""Probabilities of `BOTTOMS`. Black, blue and grey are the most frequent."""
SHOES: tuple[Colour, ...] = ((28, 26, 28), (226, 226, 224), (96, 70, 50), (160, 44, 44), (88, 92, 100))


@dataclass(frozen=True, slots=True)
class Person:
    """Appearance of a person. It is the same in all images of the person."""

    build: float
    """Relative width of the body, from 0.85 (slim) to 1.2."""
    skin: Colour
    """Colour of the skin."""
    hair: Colour
    """Colour of the hair."""
    hair_style: str
    """Hair style: `short`, `long`, `bun` or `bald`."""
    hat: Colour | None
    """Colour of the hat; None for no hat."""
    top: Colour
    """Colour of the upper garment."""
    top_second: Colour
    """Second colour of the pattern, or the colour under an open jacket."""
    top_pattern: str
    """Pattern of the upper garment: `plain`, `stripes`, `block`, `print` (on the front), `back print`, `open` (jacket)
    or `check`."""
    top_hem: float
    """Lower end of the upper garment, in body heights from the top of the head."""
    sleeves: str
    """Sleeves of the upper garment: `long`, `short` or `none`."""
    bottom: Colour
    """Colour of the lower garment."""
    bottom_kind: str
    """Lower garment: `trousers`, `shorts` or `skirt`."""
    shoes: Colour
    """Colour of the shoes."""
    bag: str
    """Kind of bag: `none`, `backpack`, `shoulder` or `hand`."""
    bag_colour: Colour
    """Colour of the bag."""


def person_of(seed: int, number: int) -> Person:
    """Return the person with a number in the list of a seed."""
    rng = np.random.default_rng((seed, 1, number))

    def colour(
        colours: tuple[Colour, ...], probabilities: tuple[float, ...] | None = None, spread: float = 12.0
    ) -> Colour:
        chosen = colours[int(rng.choice(len(colours), p=probabilities))]
        vary = rng.normal(0, spread, 3)
        red, green, blue = (int(np.clip(value + change, 8, 247)) for value, change in zip(chosen, vary, strict=True))
        return red, green, blue

    def word(words: tuple[str, ...], probabilities: tuple[float, ...]) -> str:
        return words[int(rng.choice(len(words), p=probabilities))]

    kind = word(("trousers", "shorts", "skirt"), (0.68, 0.18, 0.14))
    pattern = word(
        ("plain", "stripes", "block", "print", "back print", "open", "check"),
        (0.4, 0.11, 0.1, 0.13, 0.07, 0.13, 0.06),
    )
    return Person(
        build=float(rng.uniform(0.85, 1.2)),
        skin=colour(SKINS, spread=4.0),
        hair=colour(HAIRS, (0.4, 0.22, 0.14, 0.1, 0.08, 0.06), spread=6.0),
        hair_style=word(("short", "long", "bun", "bald"), (0.52, 0.3, 0.12, 0.06)),
        hat=colour(TOPS) if rng.random() < 0.16 else None,
        top=colour(TOPS),
        top_second=colour(TOPS),
        top_pattern=pattern,
        top_hem=float(rng.choice([0.5, 0.53, 0.56, 0.64], p=[0.3, 0.4, 0.2, 0.1])),
        sleeves="long" if pattern == "open" else word(("long", "short", "none"), (0.42, 0.5, 0.08)),
        bottom=colour(BOTTOMS, BOTTOM_PROBABILITIES),
        bottom_kind=kind,
        shoes=colour(SHOES, (0.4, 0.3, 0.14, 0.06, 0.1)),
        bag=word(("none", "backpack", "shoulder", "hand"), (0.46, 0.28, 0.16, 0.1)),
        bag_colour=colour(TOPS),
    )
