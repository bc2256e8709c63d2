"""What goes wrong with scans, one kind at a time and at any strength, to judge the quality score by.

Unlike `augmentation.degrade`, which varies what the network learns from, these go on until nothing is
left to be seen. A kind is a function of a generator alone; images are float32 (z, y, x) at 1 mm, scaled
to 0..1, 0 where nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

#: Values in T1 of: nothing, fluid, grey and white matter, the brightest; how other contrasts show the same.
CONTRASTS = {
    "t2_like": (0.0, 1.0, 0.55, 0.3, 0.45),
    "flair_like": (0.0, 0.12, 0.85, 0.6, 0.75),
    "inverted": (1.0, 0.85, 0.5, 0.2, 0.0),
}


def noise(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Rician noise of up to the whole range."""
    level = 0.02 + 0.6 * strength**1.5
    draw = rng.standard_normal((2, *image.shape), dtype=np.float32) * level
    return np.hypot(image + draw[0], draw[1])


def blur(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur of up to 4.5 mm standard deviation."""
    return ndimage.gaussian_filter(image, 0.5 + 4 * strength)


def thick_slices(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Slices of 2 to 12 mm along one axis, averaged, and interpolated back linearly."""
    axis, thickness = int(rng.integers(3)), 2 + round(10 * strength)
    moved = np.moveaxis(image, axis, 0)
    count = -(-len(moved) // thickness)
    padded = np.pad(moved, ((0, count * thickness - len(moved)), (0, 0), (0, 0)), mode="edge")
    slices = padded.reshape(count, thickness, *moved.shape[1:]).mean(axis=1)
    where = np.clip((np.arange(len(moved)) + 0.5) / thickness - 0.5, 0, count - 1)
    low = np.minimum(where.astype(int), max(count - 2, 0))
    high = np.minimum(low + 1, count - 1)
    part = (where - low)[:, None, None].astype(np.float32)
    return np.moveaxis(slices[low] * (1 - part) + slices[high] * part, 0, axis)


def bias(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth multiplicative field, up to many times stronger than a coil's."""
    nodes = rng.normal(0, 0.2 + 2.0 * strength, (4, 4, 4))
    zoom = np.array(image.shape) / 4
    field = ndimage.affine_transform(
        nodes, 1 / zoom * 0.75, output_shape=image.shape, order=2, mode="nearest"
    )
    return image * np.exp(field - field.mean())


def ghosting(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Motion between the lines of k-space: the head jumps to some places while lines are taken."""
    axis = int(rng.integers(3))
    n = image.shape[axis]
    spectrum = np.fft.fftn(image)
    elsewhere = np.asarray(rng.random(n) < 0.1 + 0.6 * strength)
    elsewhere[0] = False
    jumps = rng.normal(0, 1 + 6 * strength, (n, 3)) * elsewhere[:, None]
    shape = [1] * 3
    shape[axis] = n
    phase = np.zeros(image.shape)
    for k in range(3):
        frequencies = np.fft.fftfreq(image.shape[k]).reshape([-1 if j == k else 1 for j in range(3)])
        phase = phase + frequencies * jumps[:, k].reshape(shape)
    return np.abs(np.fft.ifftn(spectrum * np.exp(-2j * np.pi * phase)))


def motion(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """The head turns and moves a few times while the lines of k-space are taken, one block after another."""
    axis, poses = int(rng.integers(3)), 3 + int(rng.integers(4))
    n = image.shape[axis]
    ends = np.sort(rng.integers(1, n, poses - 1))
    middle = (np.array(image.shape) - 1) / 2
    spectrum = np.zeros(image.shape, complex)
    order = np.fft.fftshift(np.arange(n))
    for lines in np.split(order, ends):
        moved = image
        # The head lies still while the middle of k-space is taken: it is where it is outlined.
        if 0 not in lines and len(lines):
            turn = Rotation.from_rotvec(np.deg2rad(rng.normal(0, 1 + 5 * strength, 3))).as_matrix()
            shift = rng.normal(0, 0.5 + 3 * strength, 3)
            moved = ndimage.affine_transform(image, turn, middle - turn @ (middle + shift), order=1)
        taken = np.isin(np.arange(n), lines).reshape([-1 if k == axis else 1 for k in range(3)])
        spectrum = np.where(taken, np.fft.fftn(moved), spectrum)
    return np.abs(np.fft.ifftn(spectrum))


def gamma(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Grey values bent until one end of the scale holds nearly all of them."""
    exponent = np.exp(0.3 + 2.2 * strength)
    bent = (
        np.clip(image, 0, 1) ** exponent if rng.random() < 0.5 else 1 - (1 - np.clip(image, 0, 1)) ** exponent
    )
    return np.round(bent * 255) / 255


def dropout(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """The signal is lost in balls near the middle, as beside metal or air."""
    grid = np.indices(image.shape, dtype=np.float32)
    middle = (np.array(image.shape) - 1) / 2
    keep = np.ones(image.shape, np.float32)
    for _ in range(1 + int(3 * strength)):
        centre = middle + rng.normal(0, (5, 10, 5))
        radius = 3 + 11 * strength
        distance = np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)))
        keep *= 1 / (1 + np.exp((radius - distance) / 0.8))
    return image * keep


def recontrast(name: str, levels: tuple[float, float, float]) -> Callable:
    """Another contrast by bending the grey values; `levels`: fluid, grey and white matter in this image."""
    fluid, grey, white = levels
    before = (0.0, max(fluid, 0.02), max(grey, 0.04), max(white, 0.06), 1.0)

    def change(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        values = np.array(CONTRASTS[name]) + rng.normal(0, 0.04, 5) * (np.array(CONTRASTS[name]) > 0)
        share = 0.25 + 0.75 * strength
        return (1 - share) * image + share * np.interp(image, before, values)

    return change


#: Kinds that change the image's values whatever the image is.
VALUE_KINDS: dict[str, Callable] = {
    f.__name__: f for f in (noise, blur, thick_slices, bias, ghosting, gamma, dropout)
}
