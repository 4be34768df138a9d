"""Draw the clothes of the trunk and the bags of a person."""

import numpy as np
from PIL import Image, ImageDraw

from fgbench.datasets.synthetic.persons import Colour, Person
from fgbench.datasets.synthetic.stance import PersonBrush, Point, Stance, moved, shaded

PACK: Point = (0.0, 0.3, -0.085)
"""Centre of a backpack in body coordinates."""


def trunk(person: Person, stance: Stance, rows: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Return the outline (n, 2) of the trunk in pixels.

    Args:
        person: gives the build.
        stance: gives position and direction.
        rows: distance from the top of the head in body heights, and width relative to the shoulders in front view.
    """
    depth = 0.62 + 0.38 * np.cos(stance.turn) ** 2
    left, right = [], []
    for down, width in rows:
        half = 0.115 * person.build * width * depth * stance.height
        middle = stance.place((0.0, down, 0.0))
        left.append(moved(middle, -half, 0))
        right.append(moved(middle, half, 0))
    return np.array([*left, *right[::-1]])


def draw_torso(person: Person, stance: Stance, brush: PersonBrush) -> None:
    """Draw the upper garment with its pattern, the hips, the neck and the straps of a bag."""
    if person.bottom_kind != "skirt":
        brush.fill(trunk(person, stance, ((0.45, 0.8), (0.53, 0.88), (0.56, 0.7))), person.bottom)
    hem = person.top_hem
    flare = 0.86 + 1.2 * max(0.0, hem - 0.53)
    shape = trunk(person, stance, ((0.155, 0.42), (0.175, 0.82), (0.2, 1.0), (0.3, 0.88), (0.42, 0.8), (hem, flare)))
    brush.fill(shape, shaded(person.top, 0.88))
    left, right = shape[:, 0].min(), shape[:, 0].max()
    lit = trunk(person, stance, ((0.16, 0.3), (0.2, 0.62), (0.42, 0.52), (hem, 0.6)))
    shift = 0.25 * stance.light * (right - left) / 2
    _pattern(person, stance, brush, shape, shaded(person.top, 1.04), moved(lit, shift, 0))
    neck = stance.place((0.0, 0.15, 0.01))
    brush.oval(neck, (0.03, 0.025), shaded(person.skin, 0.82))
    if person.bag == "backpack" and np.cos(stance.turn) > -0.2:
        for side in (-0.062, 0.062):
            brush.limb(((side, 0.18, 0.06), (side * 1.1, 0.33, 0.06)), (0.011, 0.011), shaded(person.bag_colour, 0.8))
    if person.bag == "shoulder":
        brush.limb(((-0.08, 0.18, 0.03), (0.1, 0.47, 0.03)), (0.009, 0.009), shaded(person.bag_colour, 0.8))


def _pattern(
    person: Person, stance: Stance, brush: PersonBrush, shape: np.ndarray, light: Colour, lit: np.ndarray
) -> None:
    """Draw the lit part and the pattern of the upper garment. Prints and open jackets show on one side only."""
    paint, mask = Image.new("RGB", brush.layer.size), Image.new("L", brush.layer.size)
    colour, outline = ImageDraw.Draw(paint), ImageDraw.Draw(mask)

    def put(corners: list[tuple[float, float]], fill: Colour) -> None:
        colour.polygon(corners, fill=fill)
        outline.polygon(corners, fill=255)

    put([(float(x), float(y)) for x, y in lit], light)
    size, front, aside = stance.height, float(np.cos(stance.turn)), float(np.sin(stance.turn))
    x0, x1 = float(shape[:, 0].min()), float(shape[:, 0].max())
    second = shaded(person.top_second, 0.96)

    def box(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
        top, bottom = (stance.y + value * size for value in (top, bottom))
        return [(left, top), (right, top), (right, bottom), (left, bottom)]

    kind = person.top_pattern
    if kind in {"stripes", "check"}:
        for down in np.arange(0.19, person.top_hem, 0.052):
            put(box(x0, float(down), x1, float(down) + 0.022), second)
    if kind == "check":
        for x in np.arange(x0 + 0.02 * size, x1, 0.055 * size):
            put(box(float(x), 0.15, float(x) + 0.016 * size, 0.7), second)
    if kind == "block":
        put(box(x0, 0.34, x1, 0.7), second)
    faces = front if kind in {"print", "open"} else -front
    if kind in {"print", "back print"} and faces > 0.2:
        middle = stance.x + np.sign(faces) * 0.05 * aside * size
        half = 0.058 * faces * person.build * size
        put(box(middle - half, 0.24, middle + half, 0.37), second)
    if kind == "open" and faces > -0.15:
        middle = stance.x + 0.075 * aside * size
        half = (0.012 + 0.042 * max(0.0, faces)) * size
        put(box(middle - half, 0.15, middle + half, person.top_hem), second)
    brush.paste_inside(shape, paint, mask)


def draw_backpack(person: Person, stance: Stance, brush: PersonBrush) -> None:
    """Draw a backpack with a pocket."""
    x, y = stance.place(PACK)
    half = (0.085 * abs(np.cos(stance.turn)) + 0.058 * abs(np.sin(stance.turn))) * stance.height
    tall = 0.115 * stance.height
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    unit = np.stack([np.cos(turn), np.sin(turn)], 1)
    pack = np.sign(unit) * np.abs(unit) ** 0.5 * (half, tall)
    brush.fill(moved(pack, x, y), person.bag_colour)
    brush.fill(moved(pack * (0.7, 0.32), x, y + 0.5 * tall), shaded(person.bag_colour, 0.75))


def hip_position(person: Person) -> Point:
    """Return the position of a shoulder bag in body coordinates."""
    return (0.125 * person.build, 0.5, 0.0)


def draw_shoulder_bag(person: Person, stance: Stance, brush: PersonBrush) -> None:
    """Draw a bag at the hip. `draw_torso` draws its strap."""
    corners = np.array([(-0.045, -0.04), (0.045, -0.04), (0.05, 0.05), (-0.05, 0.05)])
    size = np.array([0.5 + 0.5 * abs(np.sin(stance.turn)), 1.0]) * stance.height
    brush.fill(corners * size + stance.place(hip_position(person)), person.bag_colour)


def draw_handbag(person: Person, stance: Stance, brush: PersonBrush, wrist: Point) -> None:
    """Draw a bag that hangs from a hand."""
    half = 0.03 + 0.03 * abs(np.sin(stance.turn))
    corners = np.array([(-0.6 * half, 0), (0.6 * half, 0), (half, 0.13), (-half, 0.13)])
    brush.fill(corners * stance.height + stance.place(wrist), person.bag_colour)
