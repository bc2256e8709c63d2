"""The layers of `unet3d.py` on a CPU in plain numpy, float32.

A 3x3x3 convolution works along z and y by Winograd's minimal filtering F(2, 3) (Lavin and Gray, CVPR
2016): two outputs from four products instead of six; along x the three taps are stacked, so that one
matrix product sums over taps and channels. Arrays are therefore kept in eight parts, one per parity of
the z, y and x index, and every step works on long runs of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

#: Slope of the leaky ReLU, and what the instance norm adds to the variance, as in `unet3d.py`.
SLOPE, EPSILON = np.float32(0.01), 1e-5
#: Channels times voxels of one step: few enough for the processor's cache, enough to keep numpy busy.
STEP_VALUES = 20_000
#: F(2, 3): a filter's three taps become four factors, and an input four terms, each of two neighbours
#: (parity, distance).
FACTORS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
TERMS = (
    (np.subtract, (1, -1), (1, 0)),
    (np.add, (0, 0), (1, 0)),
    (np.subtract, (1, 0), (0, 0)),
    (np.subtract, (0, 0), (0, 1)),
)
#: `map`, or a thread pool's.
Run = Callable[[Callable[..., Any], Iterable[Any]], Iterable[Any]]


class Grid:
    """How the arrays of a level of `shape` (z, y, x) voxels lie in memory.

    An array is float32 (2, 2, planes + 2, 2, run), indexed z parity, y parity, plane, x parity. In a run
    the channels follow one another, each as rows y of voxels x, with a zero after each row and a row of
    zeros after the last. With those, the zeros around a run and an empty plane before the first and after
    the last, a voxel's neighbours lie at fixed distances in memory and are 0 outside the image.
    """

    def __init__(self, shape: Sequence[int]):
        self.shape = tuple(shape)
        self.planes, rows, row = ((n + 1) // 2 for n in self.shape)
        self.row, self.area, self.margin = row + 1, (rows + 1) * (row + 1), row + 2
        ones = self.split(np.ones((self.shape[0], 1, *self.shape[1:]), np.float32))
        #: (y parity, 1, x parity, area): 1 on voxels, 0 on the zeros between them; alike in all planes.
        self.mask = self.body(ones)[0, :, :1, :, 0].copy()

    def zeros(self, channels: int) -> np.ndarray:
        """An empty array."""
        return np.zeros((2, 2, self.planes + 2, 2, channels * self.area + 2 * self.margin), np.float32)

    def body(self, array: np.ndarray) -> np.ndarray:
        """View of an array without the zeros around it: (2, 2, planes, 2, channels, area)."""
        inner = array[:, :, 1:-1, :, self.margin : -self.margin]
        return inner.reshape(*inner.shape[:4], -1, self.area)

    def voxels(self, areas: np.ndarray) -> np.ndarray:
        """View (..., rows, row) of areas (..., area) without their zeros."""
        return areas.reshape(*areas.shape[:-1], -1, self.row)[..., :-1, :-1]

    def _parts(self, plain: np.ndarray, array: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for z, y, x in np.ndindex(2, 2, 2):
            part = plain[z::2, :, y::2, x::2]
            yield part, self.voxels(array[z, y, :, x])[: len(part), :, : part.shape[2], : part.shape[3]]

    def split(self, plain: np.ndarray) -> np.ndarray:
        """Array from the plain order (z, channels, y, x)."""
        array = self.zeros(plain.shape[1])
        for part, place in self._parts(plain, self.body(array)):
            place[...] = part
        return array

    def join(self, body: np.ndarray) -> np.ndarray:
        """A body in plain order, float32 (z, channels, y, x)."""
        plain = np.empty((self.shape[0], body.shape[4], *self.shape[1:]), np.float32)
        for part, place in self._parts(plain, body):
            part[...] = place
        return plain

    def steps(self, channels: int) -> list[slice]:
        """The planes that are worked on at once."""
        n = max(1, STEP_VALUES // (channels * self.area))
        return [slice(start, min(start + n, self.planes)) for start in range(0, self.planes, n)]


def convolution_weights(weight: np.ndarray) -> np.ndarray:
    """(out, in, 3, 3, 3) as :func:`convolve` takes it: (4, 4, out, 3 times in), factors of z and y first."""
    taps = np.ascontiguousarray(weight.transpose(2, 3, 0, 4, 1), np.float32)
    along_z = FACTORS @ taps.reshape(3, -1)
    return (FACTORS @ along_z.reshape(4, 3, -1)).reshape(4, 4, len(weight), -1)


def _input_terms(
    grid: Grid, inputs: Sequence[np.ndarray], which: int, planes: slice, out: np.ndarray
) -> None:
    """Term `which` along z, all along y, at the taps -1, 0, 1 and 2 of x: (4 terms, planes, 4 taps, ...)."""
    operation, *neighbours = TERMS[which]
    done = 0
    for array in inputs:
        along_z = operation(*(array[p][:, planes.start + 1 + d : planes.stop + 1 + d] for p, d in neighbours))
        size = array.shape[-1] - 2 * grid.margin
        for term, (add_or_subtract, *pair) in zip(out, TERMS, strict=True):
            first, second = (along_z[p][..., grid.margin + d * grid.row :][..., :size] for p, d in pair)
            add_or_subtract(first, second, out=term[:, 1:3, done : done + size])
        done += size
    # The taps at -1 and 2 are those of the odd voxel before and the even one after.
    out[:, :, 0, 0], out[:, :, 3, -1] = 0, 0
    out[:, :, 0, 1:], out[:, :, 3, :-1] = out[:, :, 2, :-1], out[:, :, 1, 1:]


def _outputs(products: np.ndarray, out: np.ndarray) -> None:
    """F(2, 3): the even and the odd output from four products (4, ...), which are used up."""
    first, second, third, fourth = products
    np.add(np.add(first, second, out=first), third, out=out[0])
    np.subtract(np.subtract(second, third, out=second), fourth, out=out[1])


def convolve(
    grid: Grid, inputs: Sequence[np.ndarray], weight: np.ndarray, run: Run = map
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """3x3x3 convolution, zeros outside, no bias, of one or more arrays' channels.

    Returns the array (its zeros may hold anything), and mean and variance of its channels, float64 (out,).
    """
    out, channels = weight.shape[2], weight.shape[3] // 3
    result = grid.zeros(out)
    body, mask = grid.body(result), grid.mask[..., None]

    def work(planes: slice) -> list[np.ndarray]:
        n = planes.stop - planes.start
        terms = np.empty((4, n, 4, channels * grid.area), np.float32)
        products = np.empty((4, n, 2, out, grid.area), np.float32)
        sums = np.empty((4, 2, n, 2, out, grid.area), np.float32)
        taps = terms.reshape(4, n, 4 * channels, grid.area)
        for factor in range(4):
            _input_terms(grid, inputs, factor, planes, terms)
            for parity in (0, 1):
                three = taps[:, :, parity * channels : (parity + 3) * channels]
                np.matmul(weight[factor][:, None], three, out=products[:, :, parity])
            _outputs(products, sums[factor])
        here = body[:, :, planes]
        _outputs(sums, here)
        if grid.shape[0] % 2 and planes.stop == grid.planes:
            here[1, :, -1] = 0  # the last plane has no odd voxels
        squares = np.multiply(here, here, out=sums[:2])
        return [np.matmul(values, mask).sum((0, 1, 2, 3, 5), np.float64) for values in (here, squares)]

    mean, power = np.sum(list(run(work, grid.steps(max(out, channels)))), axis=0) / np.prod(grid.shape)
    return result, mean, np.maximum(power - mean**2, 0)


def normalise(grid: Grid, array: np.ndarray, scale: np.ndarray, shift: np.ndarray, run: Run = map) -> None:
    """Scale and shift (channels,) and leaky ReLU, in place; between the voxels it becomes 0."""
    scale, shift = (
        (grid.mask[:, :, :, None] * values.astype(np.float32)[:, None]).reshape(2, 1, 2, -1)
        for values in (scale, shift)
    )

    def work(planes: slice) -> None:
        for here in array[:, :, 1:-1, :, grid.margin : -grid.margin][:, :, planes]:
            np.add(np.multiply(here, scale, out=here), shift, out=here)
            np.maximum(here, here * SLOPE, out=here)

    list(run(work, grid.steps(2 * scale.shape[-1] // grid.area)))
    if grid.shape[0] % 2:
        array[1, :, -2] = 0


def pool(grid: Grid, array: np.ndarray) -> np.ndarray:
    """Largest of each 2x2x2 voxels, in plain order (z, channels, y, x) of half the size."""
    return grid.voxels(grid.body(array).max(axis=(0, 1, 3)))


def enlarge(grid: Grid, plain: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Transposed convolution (in, out, 2, 2, 2), stride 2: plain (z, in, y, x) to an array of the grid."""
    areas = np.zeros((len(plain), 1, len(weight) + 1, grid.area), np.float32)
    grid.voxels(areas)[:, 0] = np.pad(plain, ((0, 0), (0, 1), (0, 0), (0, 0)), constant_values=1)
    # The bias is the weight of a channel that is 1 on the voxels and 0 between them.
    biases = np.broadcast_to(bias[:, None], (2, 2, 2, len(bias), 1))
    result = grid.zeros(len(bias))
    matrices = np.concatenate((weight.transpose(2, 3, 4, 1, 0), biases), axis=-1)
    np.matmul(matrices[:, :, None], areas, out=grid.body(result))
    return result
