"""Draws the pictures of the synthetic shop: shape by category, colour and pattern by the look."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

from tfrec_div.data import _synthetic_words as words

_FINE = 2  # drawn at twice the size, then reduced, for smooth edges

# Shapes in a square from 0 to 100: (kind, points or box); "no " in front makes a hole.
_SHAPES = {
    "lamp": (
        ("polygon", (32, 12, 68, 12, 84, 50, 16, 50)),
        ("rectangle", (47, 50, 53, 82)),
        ("ellipse", (30, 78, 70, 92)),
    ),
    "mug": (
        ("ellipse", (58, 32, 92, 70)),
        ("no ellipse", (67, 41, 83, 61)),
        ("rectangle", (20, 24, 72, 80)),
        ("ellipse", (20, 70, 72, 90)),
    ),
    "shirt": (
        ("polygon", (34, 14, 66, 14, 96, 34, 84, 52, 72, 45, 72, 90, 28, 90, 28, 45, 16, 52, 4, 34)),
        ("no ellipse", (39, 4, 61, 24)),
    ),
    "chair": (
        ("rectangle", (24, 8, 34, 94)),
        ("rectangle", (34, 14, 66, 46)),
        ("rectangle", (66, 8, 76, 94)),
        ("rectangle", (20, 54, 82, 66)),
    ),
    "shoe": (
        ("polygon", (8, 30, 36, 30, 52, 54, 84, 62, 94, 74, 8, 74)),
        ("rectangle", (6, 74, 95, 84)),
    ),
    "bag": (
        ("ellipse", (30, 8, 70, 60)),
        ("no ellipse", (38, 16, 62, 60)),
        ("polygon", (16, 38, 84, 38, 92, 90, 8, 90)),
    ),
    "clock": (
        ("ellipse", (10, 10, 90, 90)),
        ("no ellipse", (22, 22, 78, 78)),
        ("rectangle", (48, 28, 53, 52)),
        ("rectangle", (50, 48, 70, 53)),
    ),
    "vase": (
        ("polygon", (38, 8, 62, 8, 58, 30, 42, 30)),
        ("ellipse", (22, 24, 78, 80)),
        ("polygon", (34, 72, 66, 72, 62, 94, 38, 94)),
    ),
    "bottle": (
        ("rectangle", (43, 4, 57, 16)),
        ("rectangle", (45, 16, 55, 36)),
        ("ellipse", (33, 28, 67, 56)),
        ("rectangle", (33, 42, 67, 94)),
    ),
    "hat": (
        ("ellipse", (4, 60, 96, 84)),
        ("rectangle", (28, 34, 72, 72)),
        ("ellipse", (28, 20, 72, 52)),
    ),
    "cushion": (("polygon", (8, 14, 50, 22, 92, 14, 84, 50, 92, 88, 50, 80, 8, 88, 16, 50)),),
    "notebook": (
        ("rectangle", (24, 8, 84, 92)),
        *(("ellipse", (14, y, 30, y + 8)) for y in range(14, 84, 14)),
        ("no rectangle", (40, 22, 70, 36)),
    ),
}


def draw_pictures(
    attributes: dict[str, np.ndarray], rows: Iterable[int], size: int, rng: np.random.Generator
) -> list[bytes]:
    """Draws items as JPEG.

    Args:
        attributes: As `draw_world` returns them.
        rows: The items to draw.
        size: Width and height in pixels, 8 or more.
        rng: Source of chance for the shade, the place and the background.

    Returns:
        One encoded picture per row.
    """
    side = size * _FINE
    masks = {name: _mask(shapes, side) for name, shapes in _SHAPES.items()}
    patterns = _patterns(side)
    colours = np.array(list(words.COLOURS.values()), float)
    floor = np.linspace(1.0, 0.9, side)[:, None, None]
    pictures = []
    for row in rows:
        colour = np.clip(colours[attributes["colour"][row]] + rng.normal(0, 9, 3), 0, 255)
        other = colour * 0.55 if colour.mean() > 90 else colour + 0.45 * (255 - colour)
        weave = patterns[attributes["pattern"][row]][..., None]
        cloth = Image.fromarray((colour + (other - colour) * weave).astype(np.uint8))
        ground = np.broadcast_to(floor * rng.uniform(225, 250, 3), (side, side, 3))
        picture = Image.fromarray(ground.astype(np.uint8))
        mask = masks[words.CATEGORIES[attributes["category"][row]]]
        second = attributes["second"][row]
        whole = rng.uniform(0.82, 0.95) * side * (1.0 if second < 0 else 0.74)
        _paste(picture, cloth, mask, whole, 0.5 if second < 0 else 0.36, rng)
        if second >= 0:
            _paste(picture, cloth, masks[words.CATEGORIES[second]], 0.55 * side, 0.76, rng)
        data = io.BytesIO()
        picture.reduce(_FINE).save(data, "JPEG", quality=88)
        pictures.append(data.getvalue())
    return pictures


def _paste(
    picture: Image.Image, cloth: Image.Image, mask: Image.Image, width: float, centre: float, rng
) -> None:
    """Pastes a shape, a little off its place, with a shadow below."""
    side, width = picture.size[0], int(width)
    left = int(centre * side - width / 2 + rng.uniform(-0.03, 0.03) * side)
    top = int((side - width) * rng.uniform(0.4, 0.6)) if centre == 0.5 else side - width - side // 16
    place = (left, top)
    shape = mask.resize((width, width))
    picture.paste(
        (150, 145, 140), (left + side // 40, top + side // 40), shape.point(lambda value: value // 3)
    )
    picture.paste(cloth.crop((0, 0, width, width)), place, shape)


def _mask(shapes: tuple, side: int) -> Image.Image:
    mask = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(mask)
    for name, numbers in shapes:
        points = [number * side / 100 for number in numbers]
        getattr(draw, name.removeprefix("no "))(points, fill=0 if name.startswith("no ") else 255)
    return mask


def _patterns(side: int) -> np.ndarray:
    """Share of the second shade by pixel, `[pattern, side, side]`, in the order of `words.PATTERNS`."""
    y, x = np.mgrid[0:side, 0:side] / side
    striped = (x * 7 % 1 < 0.4) * 1.0
    dotted = ((x * 7 % 1 - 0.5) ** 2 + (y * 7 % 1 - 0.5) ** 2 < 0.09) * 1.0
    checked = ((x * 5 % 1 < 0.5) * 0.5 + (y * 5 % 1 < 0.5) * 0.5).astype(float)
    marbled = 0.5 + 0.5 * np.sin(14 * x + 5 * np.sin(9 * y) + 3 * np.sin(21 * x * y))
    return np.stack([0.0 * x, striped, dotted, checked, marbled])
