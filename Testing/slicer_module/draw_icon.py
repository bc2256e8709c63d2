"""Draws the module's icon, an own mark: two hippocampi, curled like seahorses, in the segments' colours.

usage: python Testing/slicer_module/draw_icon.py     (writes HippoSeg/Resources/Icons/HippoSeg.png, 128 x 128)
"""

from __future__ import annotations

import math
import pathlib

from PIL import Image, ImageDraw

SIZE, SCALE = 128, 8
BACKGROUND, LEFT, RIGHT, EYE = (24, 38, 66), (230, 159, 0), (86, 180, 233), (24, 38, 66)
TARGET = pathlib.Path(__file__).resolve().parents[2] / "HippoSeg" / "Resources" / "Icons" / "HippoSeg.png"


def body(steps: int = 700) -> list[tuple[float, float, float]]:
    """Discs (centre x, y and radius, icon pixels) from the head down the back to the curled tail."""
    x, y, length = 43.0, 33.0, 128.0
    discs = []
    for step in range(steps):
        t = step / (steps - 1)
        # The heading turns slowly along the back, then quickly where the tail curls inwards.
        heading = math.radians(132 - 62 * min(t / 0.5, 1.0) - 420 * max((t - 0.5) / 0.5, 0.0) ** 1.1)
        discs.append((x, y, 11.0 - 8.0 * t**0.9 + 3.0 * math.sin(math.pi * min(t / 0.6, 1.0))))
        x += math.cos(heading) * length / steps
        y += math.sin(heading) * length / steps
    return discs


def draw() -> Image.Image:
    """The icon, RGBA."""
    side = SIZE * SCALE
    image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, side - 1, side - 1), radius=22 * SCALE, fill=BACKGROUND)

    def disc(x: float, y: float, r: float, color) -> None:
        pen.ellipse(
            [(v - d) * SCALE for v, d in zip((x, y), (r, r), strict=True)]
            + [(v + r) * SCALE for v in (x, y)],
            fill=color,
        )

    # Seen from the front, as radiologists do: the patient's left is on the right of the picture.
    for mirrored, color in ((False, RIGHT), (True, LEFT)):
        for x, y, r in body():
            disc(SIZE - x if mirrored else x, y, r, color)
        disc(SIZE - 42 if mirrored else 42, 32, 2.8, EYE)
    return image.resize((SIZE, SIZE), Image.LANCZOS)


if __name__ == "__main__":
    draw().save(TARGET, optimize=True)
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")
