"""Published fits with and without known deposits, and the smallest possible uncertainties, as numbers to compare with.

Errors in percent, noise on, k_B held. Fits: campaign report of larnd-sim-jax, July-August 2026; S1 to S3 are means and
standard deviations over 3 seeds, S4 means and standard errors over 8, with the standard deviation where it is given.
Bounds: those of Cramer and Rao for 2262 cm of straight muons of 1 GeV in deposits of 1 cm (hits above 11 ke, noise of
900 and 500 electrons; four nuisances of geometry per track, one of dE/dx per cm with a Gaussian prior), scaled to
40,000 cm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Length of track [cm] that bounds and published fits are for.
LENGTH_CM = 40_000.0
#: Stages in words.
STAGES = {
    "S1": "deposits known",
    "S2": "dE/dx fitted, tracks known",
    "S3": "dE/dx fitted, tracks straight lines",
    "S4": "dE/dx and tracks fitted, from hits alone",
}
#: Fits at a published stage S4.
_SEEDS_S4 = 8


@dataclass(frozen=True)
class Published:
    """Mean error and spread of published fits [%], with half of the last digit of each: what rounding may have hidden.

    `total` is sqrt(bias^2 + spread^2) with both rounded up.
    """

    bias: float
    spread: float
    half_bias: float
    half_spread: float

    @property
    def total(self) -> float:
        """sqrt(bias^2 + spread^2) [%], bias and spread rounded up by half of their last digits."""
        return math.hypot(abs(self.bias) + self.half_bias, self.spread + self.half_spread)


def _seeds(bias: str, spread: str) -> Published:
    return Published(float(bias), float(spread), _half(bias), _half(spread))


def _errors(bias: str, error: str, spread: str | None = None) -> Published:
    """A mean with its standard error, from which the spread follows where it is not given."""
    if spread is not None:
        return _seeds(bias, spread)
    several = math.sqrt(_SEEDS_S4)
    return Published(float(bias), several * float(error), _half(bias), several * _half(error))


def _half(number: str) -> float:
    return 0.5 * 10.0 ** -len(number.partition(".")[2])


FITS: dict[str, dict[str, Published]] = {
    "S1": {
        "birks_ab": _seeds("-0.1", "0.1"),
        "electric_field": _seeds("0.1", "0.1"),
        "electron_lifetime": _seeds("2.9", "2.5"),
        "transverse_diffusion": _seeds("0.5", "1.5"),
        "longitudinal_diffusion": _seeds("0.8", "0.8"),
    },
    "S2": {
        "birks_ab": _seeds("0.3", "0.3"),
        "electric_field": _seeds("0.2", "0.0"),
        "electron_lifetime": _seeds("0.6", "1.9"),
        "transverse_diffusion": _seeds("1.9", "1.9"),
        "longitudinal_diffusion": _seeds("0.8", "0.9"),
    },
    "S3": {
        "birks_ab": _seeds("0.1", "0.6"),
        "electric_field": _seeds("0.0", "0.3"),
        "electron_lifetime": _seeds("138", "47"),
        "transverse_diffusion": _seeds("17", "18"),
        "longitudinal_diffusion": _seeds("71", "49"),
    },
    "S4": {
        "birks_ab": _errors("0.73", "0.05"),
        "electric_field": _errors("-0.02", "0.01"),
        "electron_lifetime": _errors("-4.2", "1.5", "4.3"),
        "transverse_diffusion": _errors("-0.7", "0.4"),
        "longitudinal_diffusion": _errors("-7.9", "2.0", "5.5"),
    },
}

#: Rms distance [um] of published deposits to the true ones, where they were not true.
POSITION_UM = {"S3": 880.0, "S4": 159.0}

#: Bounds with priors of dE/dx this wide [%].
PRIORS = (5, 15, 30)
_FIXED = ("birks_ab", "electric_field", "electron_lifetime", "longitudinal_diffusion", "transverse_diffusion")
_UNKNOWN = ((0.05, 0.14, 0.27), (0.001,) * 3, (1.1, 2.8, 5.4))
_BOTH = {"birks_ab": (0.23, 0.57, 1.1), "birks_kb": (1.7, 4.4, 8.5)}

#: Smallest possible uncertainty [%] of stages by parameter, one for each of `PRIORS`, k_B held; S3, whose geometry is
#: wrong, has none.
BOUNDS: dict[str, dict[str, tuple[float, ...]]] = {
    "S1": {n: (v,) * 3 for n, v in zip(_FIXED, (0.03, 0.001, 0.65, 2.0, 0.33), strict=True)},
    "S2": dict(zip(_FIXED, (*_UNKNOWN, (2.2,) * 3, (0.4,) * 3), strict=True)),
    "S4": dict(zip(_FIXED, (*_UNKNOWN, (2.3,) * 3, (0.44,) * 3), strict=True)),
}
#: The same where A_B and k_B are both free; those of the other parameters are as good as the same.
BOUNDS_BOTH: dict[str, dict[str, tuple[float, ...]]] = {
    "S1": BOUNDS["S1"] | {"birks_ab": (0.13,) * 3, "birks_kb": (0.95,) * 3},
    "S2": BOUNDS["S2"] | _BOTH,
    "S4": BOUNDS["S4"] | _BOTH,
}


def bound(stage: str, name: str, both: bool) -> tuple[float, ...] | None:
    """Bounds [%] of a parameter at a stage for each of `PRIORS`; `both`: with k_B free. None where there is none."""
    return (BOUNDS_BOTH if both else BOUNDS).get(stage, {}).get(name)
