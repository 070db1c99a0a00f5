"""Pixel responses: the charge that one collected electron has induced by a given time.

Every response offers `cumulative(x, y, t, sigma)`, averaged over a Gaussian spread `sigma` of the arrival time. A
response is one class and one line in `RESPONSES`. NumPy only: it is evaluated once, to fill the table of
`pipeline.simulate.response_table`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.special import erfc, erfcx, ndtr

from ..errors import ConfigError
from ..tables import Floats


class Response(Protocol):
    """What the forward model asks of a pixel response.

    `early`, `late` [us]: before and after these times (from the arrival of the electron at the response's start
    plane, for sharp arrival) the cumulative charge is below 1e-6 and equal to 1. The response is symmetric under
    x -> -x, y -> -y and x <-> y and acts on the pixel that collects the electron.
    """

    early: float
    late: float

    def cumulative(self, x: Floats, y: Floats, t: Floats, sigma: float | Floats) -> Floats:
        """Charge [electrons] induced until `t` [us] after the mean arrival by an electron at offset `x, y` [cm] from
        the pixel centre, averaged over a Gaussian of width `sigma` [us] > 0; arguments broadcast."""
        ...


class Parametrised:
    """Sum of two exponentials that end sharply, with parameters quadratic in the offset from the pixel centre.

    `I(t) = a/b exp((t - s)/b) + (1 - a)/c exp((t - s)/c)` for t < s, zero after (arXiv:2309.04639, the parametrised
    response of the pixel plane); its integral is `C(t) = a exp(min(t-s, 0)/b) + (1-a) exp(min(t-s, 0)/c)`.
    Convolved with a Gaussian each exponential becomes an exponentially modified Gaussian.
    """

    # Coefficients of 1, x, y, x y, x^2, y^2 with x = |x|, y = |y| in cm; b, c, s in us.
    A = (1.060, -0.909, -0.909, 5.856, 0.207, 0.207)
    B = (0.679, -1.083, -1.083, 8.772, -5.521, -5.521)
    C = (2.644, -9.174, -9.174, 13.483, 45.887, 45.887)
    S = (2.948, -2.705, -2.705, 4.825, 20.814, 20.814)

    early = -36.0
    late = 4.1

    #: Pixels [cm] within which b and c are positive and s is at most `late`; the fit of the coefficients, to pixels of
    #: 0.4434 cm, says nothing of larger ones.
    LARGEST_PITCH = 0.452

    def shape(self, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """The weight a, the decay times b, c [us] and the end time s [us] at offset `x, y` [cm].

        Raises `ConfigError` for offsets outside a pixel of `LARGEST_PITCH`.
        """
        ax, ay = np.abs(np.broadcast_arrays(x, y))
        furthest = max(ax.max(initial=0.0), ay.max(initial=0.0))
        if furthest > self.LARGEST_PITCH / 2:
            raise ConfigError(
                f"detector.response: the parametrised response describes pixels up to a pitch of {self.LARGEST_PITCH} "
                f"cm, and this detector asks for {furthest:.4g} cm from the centre of one; use another response or "
                "another detector.file."
            )
        powers = (np.ones_like(ax), ax, ay, ax * ay, ax * ax, ay * ay)
        a, b, c, s = (
            np.sum([k * v for k, v in zip(p, powers, strict=True)], axis=0) for p in (self.A, self.B, self.C, self.S)
        )
        return np.minimum(a, 1.0), b, c, s

    def cumulative(self, x: Floats, y: Floats, t: Floats, sigma: float | Floats) -> Floats:
        """See `Response.cumulative`."""
        a, b, c, s = self.shape(x, y)
        u = t - s
        return np.asarray(ndtr(u / sigma) + a * _rising(u, b, sigma) + (1 - a) * _rising(u, c, sigma))


def _rising(u: Floats, decay: Floats, sigma: float | Floats) -> Floats:
    """Mean of exp(v / decay) over the part v < 0 of a Gaussian at `u` of width `sigma`.

    `exp(u/decay + sigma^2 / 2 decay^2) Phi(-u/sigma - sigma/decay)`, with the scaled complementary error function where
    the product would overflow.
    """
    w = (u / sigma + sigma / decay) / np.sqrt(2.0)
    positive = w > 0
    scaled = 0.5 * erfcx(np.where(positive, w, 0.0)) * np.exp(-0.5 * (u / sigma) ** 2)
    plain = (
        0.5 * erfc(np.where(positive, 0.0, w)) * np.exp(np.where(positive, 0.0, u / decay + 0.5 * (sigma / decay) ** 2))
    )
    return np.asarray(np.where(positive, scaled, plain))


#: Responses by the name that the config uses.
RESPONSES: dict[str, type[Response]] = {"parametrised": Parametrised}
