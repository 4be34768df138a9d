"""Draw one person: a walking three-dimensional skeleton is projected into the image and drawn part by part."""

from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from fgbench.datasets.synthetic.clothes import (
    PACK,
    draw_backpack,
    draw_handbag,
    draw_shoulder_bag,
    draw_torso,
    hip_position,
    trunk,
)
from fgbench.datasets.synthetic.persons import Colour, Person
from fgbench.datasets.synthetic.stance import PersonBrush, Point, Stance, moved, shaded

_BodyPart = tuple[float, Callable[[], None]]
"""Sort key and draw function. Far parts are drawn before near parts, and legs before parts that cover them."""


def draw_person(person: Person, stance: Stance, canvas: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    """Draw a person without background.

    Args:
        person: the appearance.
        stance: position and posture.
        canvas: width and height of the image in pixels.

    Returns:
        The drawing, and its mask (255 on the person).
    """
    brush = PersonBrush(stance, canvas)
    parts = [*_legs(person, stance, brush), *_arms(person, stance, brush), *_bag(person, stance, brush)]
    parts.append((0.0, partial(draw_torso, person, stance, brush)))
    parts.append((0.001, partial(_head, person, stance, brush)))
    for _, draw in sorted(parts, key=lambda part: part[0]):
        draw()
    return brush.layer, brush.mask


def _legs(person: Person, stance: Stance, brush: PersonBrush) -> list[_BodyPart]:
    """Both legs, and a skirt over them."""
    parts: list[_BodyPart] = []
    skirt = person.bottom_kind == "skirt"
    for side, phase in ((1, stance.phase), (-1, stance.phase + np.pi)):
        thigh = stance.stride * np.sin(phase) * (0.6 if skirt else 1.0)
        shin = thigh - (0.08 + 0.75 * max(0.0, float(np.cos(phase))) * stance.stride / 0.5)
        hip = (side * 0.052 * person.build, 0.5, 0.0)
        knee = (hip[0], 0.5 + 0.23 * np.cos(thigh), 0.23 * np.sin(thigh))
        ankle = (hip[0] * 0.9, knee[1] + 0.215 * np.cos(shin), knee[2] + 0.215 * np.sin(shin))
        parts.append(
            (stance.nearness(knee) - 2.0, partial(_leg, person, brush, (hip, knee, ankle), stance.nearness(knee) < 0))
        )
    if skirt:
        shape = trunk(person, stance, ((0.47, 0.8), (0.7, 1.12)))
        parts.append((-1.0, partial(brush.fill, shape, person.bottom)))
    return parts


def _leg(person: Person, brush: PersonBrush, joints: tuple[Point, Point, Point], far: bool) -> None:
    hip, knee, ankle = joints
    toe = (ankle[0], ankle[1] + 0.028, ankle[2] + 0.075)
    upper = person.skin if person.bottom_kind == "skirt" else person.bottom
    lower = person.bottom if person.bottom_kind == "trousers" else person.skin
    loose = 1.25 if person.bottom_kind == "trousers" else 0.95
    light = 0.8 if far else 1.0
    brush.limb((ankle, toe), (0.026, 0.019), shaded(person.shoes, light))
    brush.limb((knee, ankle), (0.033 * loose, 0.022 * loose), shaded(lower, light))
    if person.bottom_kind == "shorts":
        brush.limb((hip, knee), (0.058 * person.build, 0.046), shaded(upper, light))
    else:
        brush.limb((hip, knee), (0.056 * person.build, 0.036 * loose), shaded(upper, light))


def _arms(person: Person, stance: Stance, brush: PersonBrush) -> list[_BodyPart]:
    """Both arms; they swing against the legs."""
    parts: list[_BodyPart] = []
    for side, phase in ((1, stance.phase + np.pi), (-1, stance.phase)):
        swing = 0.8 * stance.stride * np.sin(phase)
        bend = swing + 0.3
        shoulder = (side * 0.105 * person.build, 0.205, 0.0)
        elbow = (side * 0.13 * person.build, 0.205 + 0.155 * np.cos(swing), 0.155 * np.sin(swing))
        wrist = (side * 0.125 * person.build, elbow[1] + 0.14 * np.cos(bend), elbow[2] + 0.14 * np.sin(bend))
        parts.append((stance.nearness(elbow), partial(_arm, person, stance, brush, (shoulder, elbow, wrist), side > 0)))
    return parts


def _arm(person: Person, stance: Stance, brush: PersonBrush, joints: tuple[Point, Point, Point], left: bool) -> None:
    shoulder, elbow, wrist = joints
    light = 0.78 if stance.nearness(shoulder) < -0.02 else 0.97
    top: Colour = shaded(person.top, light)
    skin: Colour = shaded(person.skin, light)
    brush.limb((elbow, wrist), (0.028, 0.021), top if person.sleeves == "long" else skin)
    brush.oval(stance.place(wrist), (0.021, 0.026), skin)
    brush.limb((shoulder, elbow), (0.041, 0.032), skin if person.sleeves == "none" else top)
    if person.bag == "hand" and left:
        draw_handbag(person, stance, brush, wrist)


def _bag(person: Person, stance: Stance, brush: PersonBrush) -> list[_BodyPart]:
    if person.bag == "backpack":
        return [(stance.nearness(PACK) * 1.2, partial(draw_backpack, person, stance, brush))]
    if person.bag == "shoulder":
        return [
            (stance.nearness(hip_position(person)) * 1.3 + 0.003, partial(draw_shoulder_bag, person, stance, brush))
        ]
    return []


def _head(person: Person, stance: Stance, brush: PersonBrush) -> None:
    """Draw hair, face and hat, as far as the camera sees them."""
    front, aside = float(np.cos(stance.turn)), float(np.sin(stance.turn))
    centre = stance.place((0.0, 0.072, 0.015))
    size = stance.height
    hair = person.skin if person.hair_style == "bald" else person.hair
    back = moved(centre, -0.02 * aside * size, 0)
    if person.hair_style == "long":
        brush.oval(moved(back, 0, 0.045 * size), (0.052 if front > -0.3 else 0.058, 0.088), shaded(hair, 0.85))
    if person.hair_style == "bun":
        knot = moved(centre, -0.055 * aside * size, -0.03 * size * (1 if front < 0 else 1.6))
        brush.oval(knot, (0.025, 0.025), hair)
    brush.oval(centre, (0.047, 0.066), hair)
    if front > -0.75:
        wide = 0.04 * (0.35 + 0.65 * (front + 0.75) / 1.75)
        face = moved(centre, 0.024 * aside * size, 0.014 * size)
        brush.oval(face, (wide, 0.05), person.skin)
        if front > 0.1:
            for eye in (-0.016, 0.016):
                at = moved(face, (eye * front + 0.008 * aside) * size, -0.012 * size)
                brush.oval(at, (0.005, 0.004), shaded(person.skin, 0.4))
    if front <= 0 and person.hair_style == "long":
        brush.oval(moved(back, 0, 0.06 * size), (0.05, 0.085), hair)
    if person.hat:
        turn = np.linspace(np.pi, 2 * np.pi, 14)
        dome = np.stack([0.051 * np.cos(turn), 0.064 * np.sin(turn) - 0.012], 1) * size
        brush.fill(moved(dome, *centre), person.hat)
        if front > -0.5:
            brim = moved(centre, 0.03 * aside * size, -0.012 * size)
            brush.oval(brim, (0.045, 0.011), shaded(person.hat, 0.72))
