"""Slow, independent calculation of the pixel hits by direct numerical integration (NumPy and SciPy, float64).

The witness shares no code with the simulation it judges: constants and formulas are typed anew from the physics
description. A deposit is a line. The charge that one pixel has collected by the time t is the triple integral

    Q(t) = sum_segments int du q'(u) exp(-t_d(u)/tau) int_pixel dx dy G(x - x(u)) G(y - y(u)) C(|x|, |y|, t - t_d(u))

over the position u along the line and the landing point (x, y) in the pixel. G is the Gaussian of transverse
diffusion, C the response to one collected electron, smeared over its arrival time by longitudinal diffusion in closed
form. All three integrals are done by Gauss-Legendre quadrature on panels no longer than the widths in play, so that
the result is converged to about 1e-5 of the charge.

How to use it (simulation frame: x, y on the anode plane, z along the drift; cm, us, MeV, electrons)::

    from tests.witness import witness

    deposits = witness.Deposits.of(start, end, dE, dEdx, t0)      # (n, 3), (n, 3), (n,), (n,), (n,); one event
    pixel = witness.PixelCharge(deposits, (1, 70, 140), {**witness.NOMINAL, "electric_field": 0.48})
    pixel.cumulative(np.linspace(100, 200, 500))                  # Q(t) [electrons] of tpc 1, pixel_x 70, pixel_y 140
    pixel.total                                                   # Q(infinity)
    witness.simulate(start, end, dE, dEdx, t0, witness.NOMINAL)   # the hits of one event, a structured array

About 0.1 s per hit at the nominal point; give it a handful of segments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from .physics import (
    MODULE0,
    NOMINAL,
    Detector,
    Floats,
    adc,
    escaping_fraction,
    response_shape,
    smeared_exponential,
    velocity,
)

__all__ = [
    "MODULE0",
    "NOMINAL",
    "Deposits",
    "Detector",
    "PixelCharge",
    "Quadrature",
    "adc",
    "pixels_reached",
    "simulate",
]

#: tpc (0 is z < 0), pixel_x, pixel_y.
Pixel = tuple[int, int, int]

#: Columns of the hits: those of the reference files, per event.
HIT = np.dtype(
    [("tpc", "i4"), ("pixel_x", "i4"), ("pixel_y", "i4"), ("hit", "i4"), ("t", "f8"), ("charge", "f8"), ("adc", "f8")]
)


@dataclass(frozen=True)
class Quadrature:
    """Fineness of the integration; the defaults are converged to about 1e-5 of a hit's charge."""

    reach: float = 6.5  #: half-width of the diffusion cloud that is integrated [sigma]
    line_points: int = 4  #: Gauss-Legendre points per panel along the line
    line_panel: float = 3.0  #: longest panel along the line [smallest diffusion width]
    shortest: float = 0.01  #: panels along the line are not made shorter than this [cm]
    longest: float = 0.15  #: nor left longer than this [cm]
    plane_points: int = 20  #: Gauss-Legendre points per half pixel, in x and in y


CONVERGED = Quadrature()


@dataclass(frozen=True)
class Deposits:
    """The segments of one event: `start`, `end` `(n, 3)`, `dE` [MeV], `dEdx` [MeV/cm], `t0` [us] `(n,)`."""

    start: Floats
    end: Floats
    dE: Floats
    dEdx: Floats
    t0: Floats

    @staticmethod
    def of(*columns: npt.ArrayLike) -> Deposits:
        """Deposits from anything array-like, in the order of the fields; t0 is counted from the earliest."""
        start, end, dE, dEdx, t0 = (np.asarray(c, dtype=np.float64) for c in columns)
        return Deposits(start, end, dE, dEdx, t0 - t0.min())


@dataclass(frozen=True)
class _Nodes:
    """Points along the lines: place on the anode plane, electrons that arrive, arrival time [us] and widths."""

    x: Floats
    y: Floats
    charge: Floats
    arrival: Floats
    sigma_plane: Floats
    sigma_time: Floats


@dataclass(frozen=True)
class _Samples:
    """Points of the triple integral: electrons, latest time s = arrival + t_s without diffusion, response shape."""

    electrons: Floats
    latest: Floats
    sigma_time: Floats
    a: Floats
    b: Floats
    c: Floats

    @staticmethod
    def joined(parts: list[_Samples]) -> _Samples:
        """All points of `parts`, flat."""
        names = [f.name for f in fields(_Samples)]
        return _Samples(*(np.concatenate([np.empty(0)] + [getattr(p, n).ravel() for p in parts]) for n in names))

    def pruned(self) -> _Samples:
        """Without the points that hold nothing (less than 1e-11 of the pixel's charge)."""
        keep = self.electrons > 1e-11 * self.electrons.sum()
        return _Samples(*(getattr(self, f.name)[keep] for f in fields(self)))


@dataclass(frozen=True)
class PixelCharge:
    """The charge that one pixel (tpc, pixel_x, pixel_y) collects from the deposits of one event."""

    deposits: Deposits
    pixel: Pixel
    parameters: Mapping[str, float]
    recombination: str = "birks"
    detector: Detector = MODULE0
    quadrature: Quadrature = CONVERGED

    @property
    def centre(self) -> tuple[float, float]:
        """Centre (x, y) of the pixel [cm]."""
        d, (_, i, j) = self.detector, self.pixel
        return d.x_low + (i + 0.5) * d.pitch, d.y_low + (j + 0.5) * d.pitch

    @property
    def total(self) -> float:
        """Q(infinity) [electrons]: what diffuses into the pixel's area."""
        return float(self._samples.electrons.sum())

    def cumulative(self, time: npt.ArrayLike) -> Floats:
        """Q(t) [electrons] at each `time` [us after the event's earliest deposit], any shape."""
        s = self._samples

        def at(t: float) -> float:
            tau = t - s.latest
            fast = smeared_exponential(tau, s.b, s.sigma_time)
            slow = smeared_exponential(tau, s.c, s.sigma_time)
            return float(np.sum(s.electrons * (s.a * fast + (1.0 - s.a) * slow)))

        times = np.asarray(time, dtype=np.float64)
        return np.array([at(t) for t in times.ravel()]).reshape(times.shape)

    def hits(self) -> list[tuple[float, float, float]]:
        """Crossing time [us], charge [electrons] and ADC of every hit of the self-triggered readout, without noise.

        Q(t) never falls (a lies in [0, 1]; b, c are positive), so the first crossing is the only one and a bracketing
        root finder cannot miss it.
        """
        found: list[tuple[float, float, float]] = []
        if self.total < self.detector.threshold:
            return found
        s, d, reset = self._samples, self.detector, 0.0
        low, high = float(s.latest.min() - 60.0), float(np.max(s.latest + 10.0 * s.sigma_time))  # Q = 0 and Q = total
        while len(found) < d.max_hits and low < high and self.total - reset > d.threshold * (1 + 1e-9):
            level = reset + d.threshold
            crossing = float(brentq(lambda t, level=level: float(self.cumulative(t)) - level, low, high, xtol=1e-7))
            low = crossing + d.hold
            held = float(self.cumulative(low))
            charge, reset = held - reset, held
            found.append((crossing, charge, adc(charge, d)))
        return found

    @cached_property
    def _samples(self) -> _Samples:
        nodes = [n for k in range(len(self.deposits.dE)) if (n := self._nodes(k)) is not None]
        return _Samples.joined([self._over_area(n) for n in nodes]).pruned()

    def _widths(self, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Drift time, transverse and longitudinal width [cm] of charge that is set free at |z|."""
        p, d = self.parameters, self.detector
        v = velocity(p["electric_field"], d.temperature)
        distance = d.anode - np.abs(z)
        drift = (distance - d.response_start) / v
        spread = np.sqrt(2.0 * np.maximum(distance, 1e-12) / v)
        return drift, spread * p["transverse_diffusion"] ** 0.5, spread * p["longitudinal_diffusion"] ** 0.5

    def _within_reach(self, k: int) -> tuple[float, float] | None:
        """Stretch (from, to) of the line, in fractions of its length, that lies in the TPC and near the pixel."""
        d, q = self.deposits, self.quadrature
        side = 1.0 if self.pixel[0] == 1 else -1.0
        far = self._widths(np.array([self.detector.cathode]))[1][0] * q.reach + 0.5 * self.detector.pitch
        bounds = [
            (self.centre[0] - far, self.centre[0] + far),
            (self.centre[1] - far, self.centre[1] + far),
            tuple(sorted((side * self.detector.cathode, side * self.detector.anode))),
        ]
        first, last = 0.0, 1.0
        for axis, (low, high) in enumerate(bounds):
            origin, step = d.start[k, axis], d.end[k, axis] - d.start[k, axis]
            if abs(step) < 1e-12:
                if not low < origin < high:
                    return None
                continue
            one, two = sorted(((low - origin) / step, (high - origin) / step))
            first, last = max(first, one), min(last, two)
        return (first, last) if first < last else None

    def _panels(self, k: int, first: float, last: float) -> Floats:
        """Edges of the panels along the line: broken at the pixel's edges and mid-lines, no longer than the widths."""
        d, q = self.deposits, self.quadrature
        step = d.end[k] - d.start[k]
        length = float(np.linalg.norm(step))
        edges = [first, last]
        for axis, centre in enumerate(self.centre):
            for offset in (-0.5, 0.0, 0.5):
                if abs(step[axis]) > 1e-9:
                    u = (centre + offset * self.detector.pitch - d.start[k, axis]) / step[axis]
                    edges += [u] if first < u < last else []
        panels = np.unique(edges)
        while True:
            middle = 0.5 * (panels[1:] + panels[:-1])
            _, across, along = self._widths(d.start[k, 2] + middle * step[2])
            allowed = np.clip(q.line_panel * np.minimum(across, along), q.shortest, q.longest)
            long = np.diff(panels) * length > allowed
            if not long.any():
                return panels
            panels = np.sort(np.concatenate([panels, middle[long]]))

    def _nodes(self, k: int) -> _Nodes | None:
        """The Gauss-Legendre points along segment k that matter to the pixel."""
        stretch = self._within_reach(k)
        if stretch is None:
            return None
        d, p = self.deposits, self.parameters
        panels = self._panels(k, *stretch)
        point, weight = np.polynomial.legendre.leggauss(self.quadrature.line_points)
        half = 0.5 * np.diff(panels)[:, None]
        u = (0.5 * (panels[1:] + panels[:-1])[:, None] + half * point).ravel()
        place = d.start[k] + u[:, None] * (d.end[k] - d.start[k])
        drift, across, along = self._widths(place[:, 2])
        freed = d.dE[k] * escaping_fraction(d.dEdx[k], p, self.recombination) * (1.0e6 / 23.6)
        charge = freed * (half * weight).ravel() * np.exp(-drift / p["electron_lifetime"])
        floor = 1e-7
        sigma_time = np.maximum(along, floor) / velocity(p["electric_field"], self.detector.temperature)
        return _Nodes(place[:, 0], place[:, 1], charge, drift + d.t0[k], np.maximum(across, floor), sigma_time)

    def _over_area(self, nodes: _Nodes) -> _Samples:
        """Integrate the diffused nodes over the four quarters of the pixel, on which the response is smooth."""
        columns = [
            list(self._along_axis(where, nodes.sigma_plane, axis)) for axis, where in enumerate((nodes.x, nodes.y))
        ]
        parts = []
        for x, weight_x in columns[0]:
            for y, weight_y in columns[1]:
                x3, y3 = x[:, :, None], y[:, None, :]
                shape = response_shape(x3, y3)
                electrons = nodes.charge[:, None, None] * weight_x[:, :, None] * weight_y[:, None, :]
                late = nodes.arrival[:, None, None] + shape["t_s"]
                sigma = np.broadcast_to(nodes.sigma_time[:, None, None], electrons.shape)
                parts.append(_Samples(electrons, late, sigma, shape["a"], shape["b"], shape["c"]))
        return _Samples.joined(parts)

    def _along_axis(self, where: Floats, sigma: Floats, axis: int) -> Iterator[tuple[Floats, Floats]]:
        """Offsets from the centre and Gaussian weights, `(nodes, points)`, for each half of the pixel along an axis."""
        q, edge = self.quadrature, 0.5 * self.detector.pitch
        point, weight = np.polynomial.legendre.leggauss(q.plane_points)
        offset = where - self.centre[axis]
        for low, high in ((-edge, 0.0), (0.0, edge)):
            left = np.clip(offset - q.reach * sigma, low, high)
            right = np.clip(offset + q.reach * sigma, low, high)
            half = 0.5 * (right - left)[:, None]
            x = 0.5 * (left + right)[:, None] + half * point
            normal = np.exp(-0.5 * ((x - offset[:, None]) / sigma[:, None]) ** 2) / (
                np.sqrt(2 * np.pi) * sigma[:, None]
            )
            yield x, half * weight * normal


def pixels_reached(
    deposits: Deposits,
    parameters: Mapping[str, float],
    detector: Detector = MODULE0,
    quadrature: Quadrature = CONVERGED,
) -> list[Pixel]:
    """Every pixel, in order, that the diffused charge of some deposit can reach."""
    reached: set[Pixel] = set()
    v = velocity(parameters["electric_field"], detector.temperature)
    far = quadrature.reach * np.sqrt(2.0 * parameters["transverse_diffusion"] * detector.anode / v)
    for k in range(len(deposits.dE)):
        one, two = sorted((deposits.start[k, 0], deposits.end[k, 0]))
        down, up = sorted((deposits.start[k, 1], deposits.end[k, 1]))
        xs = np.floor((np.array([one - far, two + far]) - detector.x_low) / detector.pitch).astype(int)
        ys = np.floor((np.array([down - far, up + far]) - detector.y_low) / detector.pitch).astype(int)
        for i in range(max(xs[0], 0), min(xs[1], detector.pixels[0] - 1) + 1):
            for j in range(max(ys[0], 0), min(ys[1], detector.pixels[1] - 1) + 1):
                for tpc in (0, 1):
                    if PixelCharge(deposits, (tpc, i, j), parameters, detector=detector)._within_reach(k):
                        reached.add((tpc, i, j))
    return sorted(reached)


def simulate(
    start: npt.ArrayLike,
    end: npt.ArrayLike,
    dE: npt.ArrayLike,
    dEdx: npt.ArrayLike,
    t0: npt.ArrayLike,
    parameters: Mapping[str, float],
    *,
    recombination: str = "birks",
    detector: Detector = MODULE0,
    quadrature: Quadrature = CONVERGED,
) -> npt.NDArray[np.void]:
    """Noiseless hits of one event, sorted by tpc, pixel_x, pixel_y, hit: a structured array with columns `HIT`.

    `start`, `end` `(n, 3)` [cm, simulation frame], `dE` [MeV], `dEdx` [MeV/cm], `t0` [us] `(n,)`; `parameters` by the
    names of `NOMINAL`. `t` counts from the earliest t0; `charge` in electrons.
    """
    deposits = Deposits.of(start, end, dE, dEdx, t0)
    rows = []
    for pixel in pixels_reached(deposits, parameters, detector, quadrature):
        readout = PixelCharge(deposits, pixel, parameters, recombination, detector, quadrature).hits()
        rows += [(*pixel, n, t, charge, counts) for n, (t, charge, counts) in enumerate(readout)]
    return np.array(rows, dtype=HIT)
