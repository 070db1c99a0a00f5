"""The formulas of the forward model, typed from the physics description for the witness alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx, log_ndtr, ndtr

Floats = npt.NDArray[np.float64]

#: Nominal values of everything that can be calibrated.
NOMINAL: Mapping[str, float] = {
    "birks_ab": 0.8,
    "birks_kb": 0.0486,
    "box_alpha": 0.93,
    "box_beta": 0.212,
    "density": 1.38,
    "electric_field": 0.5,
    "electron_lifetime": 2200.0,
    "longitudinal_diffusion": 4.0e-6,
    "transverse_diffusion": 8.8e-6,
}


@dataclass(frozen=True)
class Detector:
    """Constants of the prototype module of the ND-LAr design (module 0); cm, us, kV/cm, K, mV, electrons."""

    x_low: float = -31.039
    y_low: float = -83.8626
    pitch: float = 0.4434
    pixels: tuple[int, int] = (140, 280)
    anode: float = 30.431
    cathode: float = 0.15875
    response_start: float = 0.5
    temperature: float = 87.17
    threshold: float = 7.0e3
    hold: float = 1.8
    max_hits: int = 10
    gain: float = 4.0e-3
    pedestal: float = 580.0
    common_mode: float = 288.0
    reference: float = 1300.0
    counts: int = 256


MODULE0 = Detector()


def escaping_fraction(dEdx: Floats, p: Mapping[str, float], recombination: str) -> Floats:
    """Fraction of the electrons that escape recombination: Birks (ICARUS 2004) or modified box (ArgoNeuT 2013)."""
    scaled = dEdx / (p["electric_field"] * p["density"])
    if recombination == "birks":
        return p["birks_ab"] / (1.0 + p["birks_kb"] * scaled)
    if recombination == "box":
        xi = p["box_beta"] * scaled
        return np.maximum(np.log(p["box_alpha"] + xi) / xi, 0.0)
    raise ValueError(f"no recombination model {recombination!r}")


def velocity(field: float, temperature: float) -> float:
    """Drift velocity [cm/us] after Li et al., Nucl. Instrum. Meth. A 816 (2016) 160."""
    a = (551.6, 7158.3, 4440.43, 4.29, 43.63, 0.2053)
    above = a[0] + a[1] * field + a[2] * field**1.5 + a[3] * field**2.5
    below = 1.0 + (a[1] / a[0]) * field + a[4] * field**2 + a[5] * field**3
    return float(above / below * (temperature / 89.0) ** -1.5 / 1000.0 * field)


_RESPONSE = {
    "a": (1.060, -0.909, -0.909, 5.856, 0.207, 0.207),
    "b": (0.679, -1.083, -1.083, 8.772, -5.521, -5.521),
    "c": (2.644, -9.174, -9.174, 13.483, 45.887, 45.887),
    "t_s": (2.948, -2.705, -2.705, 4.825, 20.814, 20.814),
}


def response_shape(x: Floats, y: Floats) -> dict[str, Floats]:
    """The four quadratics a, b, c, t_s of the pixel response at the offset (x, y) [cm] from the pixel centre."""
    x, y = np.abs(x), np.abs(y)
    terms = (np.ones_like(x * y), x, y, x * y, x * x, y * y)
    shape = {
        name: np.sum([k * term for k, term in zip(row, np.broadcast_arrays(*terms))], axis=0)
        for name, row in _RESPONSE.items()
    }
    return shape | {"a": np.minimum(shape["a"], 1.0)}


def smeared_exponential(time: Floats, scale: Floats, width: Floats) -> Floats:
    """Mean of `exp(min(time - width g, 0) / scale)` over a standard normal g: an integrated modified Gaussian.

    `Phi(u) + exp(time/scale + w^2/2) Phi(-u - w)`, u = time/width, w = width/scale. The product is
    `exp(-u^2/2) erfcx((u + w)/sqrt 2)/2` where u + w > 0, which neither over- nor underflows.
    """
    u, w = np.broadcast_arrays(time / width, width / scale)
    late = u + w > 0
    tail = np.empty_like(u)
    tail[late] = 0.5 * np.exp(-0.5 * u[late] ** 2) * erfcx((u[late] + w[late]) / np.sqrt(2.0))
    early = ~late
    tail[early] = np.exp(u[early] * w[early] + 0.5 * w[early] ** 2 + log_ndtr(-u[early] - w[early]))
    return np.asarray(ndtr(u) + tail)


def adc(charge: float, detector: Detector = MODULE0) -> float:
    """Real-valued ADC counts of a charge [electrons]."""
    volts = max(charge * detector.gain + detector.pedestal - detector.common_mode, 0.0)
    return float(min(volts * detector.counts / (detector.reference - detector.common_mode), detector.counts))
