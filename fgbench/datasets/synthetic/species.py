"""An endless, fixed list of bird species. Species of a genus differ in small parts only."""

from dataclasses import dataclass, replace

import numpy as np

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

GENUS_SIZE = 5
"""Number of species in a genus. They share build and plumage; each differs from the first in two parts."""

PALETTES: dict[str, tuple[Colour, Colour, Colour, Colour]] = {
    "Olive": ((116, 122, 70), (214, 196, 92), (128, 132, 76), (84, 88, 58)),
    "Umber": ((124, 92, 62), (204, 186, 156), (136, 104, 72), (92, 68, 48)),
    "Azure": ((72, 112, 168), (206, 210, 214), (64, 100, 158), (54, 82, 132)),
    "Scarlet": ((150, 58, 50), (196, 96, 78), (166, 54, 46), (92, 56, 52)),
    "Slate": ((96, 102, 112), (206, 208, 206), (86, 92, 102), (66, 72, 82)),
    "Ebony": ((50, 48, 52), (78, 74, 78), (44, 42, 46), (36, 34, 38)),
    "Saffron": ((186, 148, 52), (226, 200, 104), (196, 158, 58), (100, 88, 60)),
    "Russet": ((148, 88, 52), (222, 178, 132), (138, 80, 50), (104, 70, 50)),
    "Ashen": ((150, 148, 142), (226, 222, 212), (142, 140, 136), (106, 104, 102)),
    "Teal": ((62, 116, 112), (190, 204, 190), (52, 104, 102), (46, 82, 84)),
}
"""Plumage -> colours of back, belly, head and wing."""
BUILDS = {"Warbler": 0.0, "Finch": 0.5, "Thrush": 0.3, "Wren": 0.8, "Shrike": 0.2, "Bunting": 0.6, "Tanager": 0.4}
"""Build -> plumpness from 0 to 1."""
ACCENTS: dict[str, Colour] = {
    "white": (238, 236, 228),
    "yellow": (232, 200, 60),
    "black": (34, 32, 34),
    "rufous": (170, 88, 44),
    "grey": (128, 130, 134),
}
"""Colours of small parts by name."""


@dataclass(frozen=True, slots=True)
class Species:
    """Appearance of a species, without individual variation."""

    number: int
    """Position in the list, from 0."""
    name: str
    """Name, such as `Crested_Teal_Wren`."""
    back: Colour
    """Colour of the back."""
    belly: Colour
    """Colour of the belly."""
    head: Colour
    """Colour of the head."""
    wing: Colour
    """Colour of the wings."""
    plump: float
    """Plumpness, from 0 (slender) to 1 (round)."""
    bill_length: float
    """Length of the bill in body lengths."""
    bill_depth: float
    """Depth of the bill at its base in body lengths."""
    bill_hooked: bool
    """True for a hooked bill."""
    bill: Colour
    """Colour of the bill."""
    eye_ring: str
    """Colour of the ring around the eye, a key of `ACCENTS`, or `none`."""
    crown: str
    """Colour of the crown, a key of `ACCENTS`, or `plain`."""
    crest: bool
    """True for a crest."""
    brow: str
    """Colour of the stripe above the eye, a key of `ACCENTS`, or `none`."""
    throat: str
    """Colour of the throat patch, a key of `ACCENTS`, or `plain`."""
    breast: str
    """Pattern of the breast: `plain`, `streaked`, `spotted` or `banded`."""
    wing_bars: int
    """Number of bars on the wing, 0 to 2."""
    wing_bar: str
    """Colour of the wing bars, a key of `ACCENTS`."""
    tail_length: float
    """Length of the tail in body lengths."""
    tail_fork: float
    """Depth of the fork as a fraction of the tail length; negative for a rounded tail."""
    tail_band: str
    """Colour of the band at the tip of the tail, a key of `ACCENTS`, or `none`."""
    leg: Colour
    """Colour of the legs."""

    def attributes(self) -> dict[str, bool]:
        """Return all attributes in the naming scheme of CUB-200-2011, and whether the species has them."""
        return {
            "has_bill_length::long": self.bill_length > 0.2,
            "has_bill_depth::deep": self.bill_depth > 0.1,
            "has_bill_shape::hooked": self.bill_hooked,
            "has_eye_ring::white": self.eye_ring == "white",
            "has_eye_ring::yellow": self.eye_ring == "yellow",
            **{f"has_crown_color::{c}": self.crown == c for c in ("black", "rufous", "yellow", "white")},
            "has_crest::yes": self.crest,
            "has_brow::yes": self.brow != "none",
            **{f"has_throat_color::{c}": self.throat == c for c in ("black", "white", "yellow", "rufous")},
            **{f"has_breast_pattern::{p}": self.breast == p for p in ("streaked", "spotted", "banded")},
            **{f"has_wing_bars::{n}": self.wing_bars == n for n in (1, 2)},
            "has_tail_shape::forked": self.tail_fork > 0.15,
            "has_tail_length::long": self.tail_length > 0.5,
            "has_tail_band::yes": self.tail_band != "none",
        }


def species(number: int) -> Species:
    """Return the species with a number, from 0. It does not depend on other species or settings."""
    genus, member = divmod(number, GENUS_SIZE)
    rng = np.random.default_rng((20_110, genus))
    plumage = list(PALETTES)[int(rng.integers(len(PALETTES)))]
    build = list(BUILDS)[int(rng.integers(len(BUILDS)))]
    back, belly, head, wing = (_vary(colour, rng) for colour in PALETTES[plumage])
    base = Species(
        number=number,
        name="",
        back=back,
        belly=belly,
        head=head,
        wing=wing,
        plump=BUILDS[build],
        bill_length=float(rng.choice([0.12, 0.15, 0.18])),
        bill_depth=float(rng.choice([0.05, 0.08])),
        bill_hooked=False,
        bill=_vary(ACCENTS["black"] if rng.random() < 0.6 else (196, 150, 70), rng),
        eye_ring="none",
        crown="plain",
        crest=False,
        brow="none",
        throat=str(rng.choice(["plain", "white"])),
        breast=str(rng.choice(["plain", "plain", "streaked"])),
        wing_bars=int(rng.integers(2)),
        wing_bar="white",
        tail_length=float(rng.choice([0.34, 0.42])),
        tail_fork=float(rng.choice([-0.1, 0.1])),
        tail_band="none",
        leg=_vary((90, 74, 60), rng),
    )
    changes = _changes(base, rng)
    order = rng.permutation(len(changes))
    chosen = [changes[i] for i in order[2 * member - 2 : 2 * member]] if member else []
    fields: dict[str, object] = {}
    words = []
    for word, change in chosen:
        words.append(word)
        fields |= change
    name = "_".join([*words, plumage, build])
    return replace(base, name=name or f"{plumage}_{build}", **fields)  # type: ignore[arg-type]


def _vary(colour: Colour, rng: np.random.Generator) -> Colour:
    """Return a random colour near `colour`."""
    red, green, blue = (int(np.clip(value + rng.normal(0, 8), 8, 247)) for value in colour)
    return red, green, blue


def _changes(base: Species, rng: np.random.Generator) -> list[tuple[str, dict[str, object]]]:
    """Return eight possible differences from the first species of a genus: word of the name, changed fields."""
    crown = str(rng.choice(["black", "rufous", "yellow", "white"]))
    throat = str(rng.choice(["black", "yellow", "rufous"]))
    ring = str(rng.choice(["white", "yellow"]))
    breast = "spotted" if base.breast == "streaked" else str(rng.choice(["streaked", "banded"]))
    bill: tuple[str, dict[str, object]] = (
        ("Long_billed", {"bill_length": 0.27, "bill_depth": 0.05})
        if rng.random() < 0.5
        else ("Thick_billed", {"bill_depth": 0.14, "bill_hooked": True})
    )
    tail: tuple[str, dict[str, object]] = (
        ("Fork_tailed", {"tail_fork": 0.35, "tail_length": 0.56})
        if rng.random() < 0.5
        else ("Band_tailed", {"tail_band": "white"})
    )
    brow = str(rng.choice(["white", "black"]))
    return [
        bill,
        (f"{ring.title()}_eyed", {"eye_ring": ring}),
        (f"{crown.title()}_crowned", {"crown": crown}),
        (f"{throat.title()}_throated", {"throat": throat}),
        (f"{breast.title()}", {"breast": breast}),
        ("Two_barred" if base.wing_bars < 2 else "Plain_winged", {"wing_bars": 2}),
        tail,
        (f"{brow.title()}_browed", {"brow": brow}) if rng.random() < 0.6 else ("Crested", {"crest": True}),
    ]
