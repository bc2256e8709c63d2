"""Least squares, prediction by the t distribution, and the interval of a percentile.

With n controls, p coefficients and df = n - p degrees of freedom, a new person's value y about its
expectation m has (y - m) / (s √(1 + h)) distributed as t with df, where s is the residual standard deviation
and h the person's leverage. Where the person's true standard score is z, (y - m) / (s √h) is distributed as
noncentral t with noncentrality z / √h, which gives an exact interval for z, and so for the percentile
(Crawford and Garthwaite 2002, doi 10.1016/S0028-3932(01)00224-X, for one group; here with the leverage of a
regression).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

#: Of every interval.
LEVEL = 0.95
#: Quantiles of the chi-squared distribution over which the noncentral t distribution is summed.
_QUANTILES = 1000


@dataclass(frozen=True)
class LeastSquares:
    """A linear model.

    Attributes:
        coefficients: (p,).
        sd: Residual standard deviation, with the degrees of freedom in the denominator.
        degrees: Of freedom.
        standardised: (n,) residuals, each divided by its standard deviation.
        left_out: (n,) t value of each observation, predicted from all others, with one degree less.
    """

    coefficients: np.ndarray
    sd: float
    degrees: int
    standardised: np.ndarray
    left_out: np.ndarray


def inverse_moment(design: np.ndarray) -> np.ndarray:
    """(XᵀX)⁻¹ of a design (n, p).

    Raises:
        numpy.linalg.LinAlgError: Its columns are not independent.
    """
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise np.linalg.LinAlgError("the columns are not independent")
    root = np.linalg.inv(np.linalg.qr(design, mode="r"))
    return root @ root.T


def least_squares(design: np.ndarray, values: np.ndarray) -> LeastSquares:
    """Fit values (n,) on a design (n, p) with independent columns, n > p + 1."""
    q, r = np.linalg.qr(design)
    coefficients = np.linalg.solve(r, q.T @ values)
    residuals = values - design @ coefficients
    degrees = len(values) - design.shape[1]
    square = float(residuals @ residuals)
    leverage = np.minimum((q**2).sum(axis=1), 1 - 1e-12)
    # What is left of the sum of squares without one observation, and its prediction from the others.
    others = np.maximum((square - residuals**2 / (1 - leverage)) / (degrees - 1), 1e-300)
    scaled = residuals / np.sqrt(1 - leverage)
    sd = float(np.sqrt(square / degrees))
    return LeastSquares(coefficients, sd, degrees, scaled / max(sd, 1e-300), scaled / np.sqrt(others))


def percentile(t: np.ndarray | float, degrees: int) -> np.ndarray:
    """Percentile, 0..100, of a value of the t distribution."""
    from scipy import special

    return 100 * special.stdtr(degrees, t)


def t_quantile(degrees: int) -> float:
    """Half the width of the central `LEVEL` of the t distribution."""
    from scipy import special

    return float(special.stdtrit(degrees, (1 + LEVEL) / 2))


def percentile_interval(deviation: float, leverage: float, degrees: int) -> tuple[float, float]:
    """Confidence interval, 0..100, of the percentile of a person.

    Args:
        deviation: (value - expected) / s.
        leverage: The person's, above 0.
        degrees: Of freedom.
    """
    from scipy import optimize, special

    ratio = _ratios(degrees)
    root = np.sqrt(leverage)
    limits = []
    for wanted in ((1 + LEVEL) / 2, (1 - LEVEL) / 2):
        # P(noncentral t <= observed) falls with the true score; it is the wanted one at the limit.
        def excess(score: float, wanted: float = wanted) -> float:
            return float(special.ndtr((deviation * ratio - score) / root).mean() - wanted)

        reach = 12 * root + abs(deviation) + 1
        limits.append(optimize.brentq(excess, -3 * reach, 3 * reach, xtol=1e-10))
    return 100 * float(special.ndtr(limits[0])), 100 * float(special.ndtr(limits[1]))


@lru_cache(maxsize=8)
def _ratios(degrees: int) -> np.ndarray:
    """Quantiles of the ratio of an estimated to the true standard deviation, each standing for as many."""
    from scipy import special

    probabilities = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    return np.sqrt(2 * special.gammaincinv(degrees / 2, probabilities) / degrees)
