"""Draws the emoji: `python -m deploy.emoji.draw` writes them anew beside this file.

A picture is a stack of shapes. A shape says of a point whether it lies inside; the last one that does gives
the colour. Points are counted from the middle, in hundredths of half the picture's width, downwards.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SIZE = 128
"""Width and height in pixels. Source: https://slack.com/help/articles/206870177 (128 pixels, below 128 kB)"""

SAMPLES = 3

Inside = Callable[[float, float], bool]
Colour = tuple[int, int, int]
Shape = tuple[Inside, Colour]

BRASS, SHADE, LIGHT = (222, 170, 62), (173, 122, 34), (247, 214, 130)
WOOD, WHITE = (122, 31, 43), (255, 255, 255)
GREEN, AMBER, RED, BLUE, TEAL, GREY = (
    (31, 138, 76),
    (214, 120, 12),
    (200, 40, 45),
    (44, 98, 190),
    (15, 125, 132),
    (120, 125, 135),
)


def circle(x: float, y: float, radius: float) -> Inside:
    """All points that near to one."""
    return lambda a, b: math.hypot(a - x, b - y) <= radius


def box(x: float, y: float, width: float, height: float, corner: float = 0) -> Inside:
    """A rectangle around a point, with round corners."""

    def inside(a: float, b: float) -> bool:
        over_x = max(abs(a - x) - (width / 2 - corner), 0)
        over_y = max(abs(b - y) - (height / 2 - corner), 0)
        return math.hypot(over_x, over_y) <= corner if corner else over_x == over_y == 0

    return inside


def line(x: float, y: float, to_x: float, to_y: float, width: float) -> Inside:
    """A stroke with round ends."""
    length = math.hypot(to_x - x, to_y - y)
    along_x, along_y = (to_x - x) / length, (to_y - y) / length

    def inside(a: float, b: float) -> bool:
        at = min(max((a - x) * along_x + (b - y) * along_y, 0), length)
        return math.hypot(a - x - at * along_x, b - y - at * along_y) <= width / 2

    return inside


def polygon(x: float, y: float, radius: float, corners: int, turn: float) -> Inside:
    """A regular one; `turn`: where its first side's middle looks, in parts of a circle."""
    reach = radius * math.cos(math.pi / corners)
    ways = [2 * math.pi * (turn + corner / corners) for corner in range(corners)]
    return lambda a, b: all((a - x) * math.cos(w) + (b - y) * math.sin(w) <= reach for w in ways)


def gear(x: float, y: float, radius: float) -> Inside:
    """A wheel with eight teeth and a hole."""

    def inside(a: float, b: float) -> bool:
        away, way = math.hypot(a - x, b - y), math.atan2(b - y, a - x)
        edge = radius if math.cos(8 * way) > 0 else radius * 0.76
        return radius * 0.32 <= away <= edge

    return inside


def both(one: Inside, other: Inside) -> Inside:
    """What lies in both."""
    return lambda a, b: one(a, b) and other(a, b)


def bell(x: float, y: float, size: float, *, dull: bool = False) -> list[Shape]:
    """A counter bell; `size` 1 fills the picture."""

    def at(a: float, b: float) -> tuple[float, float]:
        return x + a * size, y + b * size

    body, dark, shine = (GREY, (84, 88, 98), (190, 194, 202)) if dull else (BRASS, SHADE, LIGHT)
    dome = both(circle(*at(0, 28), 72 * size), box(*at(0, -22), 200 * size, 100 * size))
    return [
        (box(*at(0, -58), 16 * size, 34 * size), dark),
        (box(*at(0, -74), 44 * size, 18 * size, 9 * size), body),
        (dome, body),
        (both(dome, circle(*at(46, 60), 84 * size)), dark),
        (line(*at(-46, 4), *at(-26, -24), 10 * size), shine),
        (box(*at(0, 40), 176 * size, 22 * size, 11 * size), dark),
        (box(*at(0, 62), 190 * size, 26 * size, 8 * size), dark if dull else WOOD),
    ]


def badge(colour: Colour, *marks: Inside) -> list[Shape]:
    """A round sign at the lower right, with white marks on it."""
    return [
        (circle(50, 50, 50), WHITE),
        (circle(50, 50, 44), colour),
        *((mark, WHITE) for mark in marks),
    ]


def _small_bell(*, dull: bool = False) -> list[Shape]:
    return bell(-12, -14, 0.86, dull=dull)


PICTURES: Mapping[str, Sequence[Shape]] = {
    "bellhop": bell(0, 2, 1),
    "bellhop-working": [*_small_bell(), *badge(BLUE, gear(50, 50, 34))],
    "bellhop-done": [*_small_bell(), *badge(GREEN, line(28, 52, 44, 68, 13), line(44, 68, 73, 33, 13))],
    "bellhop-failed": [*_small_bell(), *badge(AMBER, line(50, 25, 50, 52, 14), circle(50, 73, 8))],
    "bellhop-waiting": [*_small_bell(), *badge(TEAL, *(circle(x, 50, 8) for x in (27, 50, 73)))],
    "bellhop-stopped": [
        *_small_bell(),
        (polygon(50, 50, 50, 8, 0), WHITE),
        (polygon(50, 50, 43, 8, 0), RED),
        (box(50, 50, 36, 36, 4), WHITE),
    ],
    "bellhop-taken": [
        *_small_bell(),
        *badge(BLUE, line(25, 50, 72, 50, 12), line(54, 30, 74, 50, 12), line(54, 70, 74, 50, 12)),
    ],
    "bellhop-quiet": bell(0, 2, 1, dull=True),
}
"""The shapes of each emoji, the lowest first."""


def png(shapes: Sequence[Shape]) -> bytes:
    """The picture as a PNG file with a transparent ground."""
    rows = bytearray()
    for row in range(SIZE):
        rows.append(0)
        for column in range(SIZE):
            rows += _pixel(shapes, column, row)
    head = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 6, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(kind, data) for kind, data in parts)


def _pixel(shapes: Sequence[Shape], column: int, row: int) -> bytes:
    """Its colour is the mean of what its samples meet; its opacity says how many met something."""
    met: list[Colour] = []
    for step_y in range(SAMPLES):
        for step_x in range(SAMPLES):
            x = (column + (step_x + 0.5) / SAMPLES) * 200 / SIZE - 100
            y = (row + (step_y + 0.5) / SAMPLES) * 200 / SIZE - 100
            colour = next((colour for inside, colour in reversed(shapes) if inside(x, y)), None)
            if colour is not None:
                met.append(colour)
    if not met:
        return bytes(4)
    red, green, blue = (round(sum(part) / len(met)) for part in zip(*met, strict=True))
    return bytes((red, green, blue, round(255 * len(met) / SAMPLES**2)))


def _part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def draw(folder: Path) -> None:
    """Write every emoji into `folder`."""
    for name, shapes in PICTURES.items():
        (folder / f"{name}.png").write_bytes(png(shapes))


if __name__ == "__main__":
    draw(Path(__file__).parent)
