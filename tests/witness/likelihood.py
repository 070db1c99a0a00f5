"""Slow, independent likelihood of what one pixel records, from the formulas alone (NumPy and SciPy, float64).

A pixel is given by its cumulative charge Q(t), which never falls, and by its readout. It is a chain conditioned on the
observed hits. Before hit n the pixel is armed at a_n (the start of the window, later the end of the hold) and has been
reset to Q_reset = Q(a_n), or 0 before the first hit. Noise r ~ N(0, sigma_r) is drawn at every reset. The pixel fires
at the first t >= a_n with Q(t) - Q_reset + r >= threshold, so that

* a hit later than a_n has r = threshold - Q(t) + Q_reset and the density Q'(t) phi(r / sigma_r) / sigma_r in t, and
  what it records is N(threshold + Q(t + hold) - Q(t), sigma_u);
* a hit at a_n has the probability Phi(-(threshold - Q(a_n) + Q_reset) / sigma_r), and r is the tail of a Gaussian;
* there is no further hit with Phi((threshold - Q(end) + Q_reset) / sigma_r), or 1 after the last hit a pixel can have.

Whole numbers are integrated over: over the clock tick in which a hit was, with the reset charge that belongs to each
moment of it, and over the ADC bin. A comparator with noise of its own is looked at once per clock tick: given r the
ticks are independent, and r is integrated over.

    pixel = likelihood.Pixel(charge, begin=0.0, end=60.0)          # charge: array of times [us] -> electrons
    pixel.log_density([12.3], [180.2])                             # one hit: t [us], ADC; per us and ADC count
    pixel.log_probability([123], [180])                            # clock tick, whole ADC count
    pixel.at_looks([123], [180.2], pixel.adc_density)              # comparator with noise, tick of the clock, real ADC
    pixel.at_looks([123], [180], pixel.count_probability)          # the same with whole ADC counts
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.integrate import simpson
from scipy.special import log_ndtr, ndtr

from .physics import MODULE0, Detector, Floats

#: Two times [us] nearer than this are the same; far above rounding, far below anything of the readout.
SAME_TIME = 1e-8

_DIFFERENCE = 1e-4  # step [us] of the numerical derivative of Q
_POINTS = 100  # midpoints per clock tick
_REACH = 9.0  # widths of Gaussians that are integrated over

Recorded = Callable[[Floats, float], Floats]


@dataclass(frozen=True)
class Electronics:
    """Widths of the noise [electrons]: of the reset, of the sampling, of the comparator at each look; `clock` [us].

    A tick k of the clock is the time from `k clock - early` to `(k + 1) clock - early`.
    """

    reset: float = 900.0
    sampling: float = 500.0
    comparator: float = 0.0
    clock: float = 0.1
    early: float = 0.0


def log_normal(x: Floats, width: float) -> Floats:
    """Logarithm of the density of N(0, width) at `x`."""
    return np.asarray(-0.5 * (x / width) ** 2 - np.log(width * np.sqrt(2.0 * np.pi)))


@dataclass(frozen=True)
class Pixel:
    """One pixel, armed from `begin` [us] on and watched until `end` [us], when all charge has arrived."""

    charge: Callable[[Floats], Floats]
    begin: float
    end: float
    electronics: Electronics = field(default_factory=Electronics)
    detector: Detector = MODULE0

    def current(self, time: Floats) -> Floats:
        """dQ/dt [electrons/us], by a central difference of fourth order."""
        h = _DIFFERENCE
        near = self.charge(time + h) - self.charge(time - h)
        far = self.charge(time + 2 * h) - self.charge(time - 2 * h)
        return np.maximum((8.0 * near - far) / (12.0 * h), 0.0)

    # What is recorded, given the mean of the charge [electrons] without sampling noise.

    def electrons(self, adc: npt.ArrayLike) -> Floats:
        """The charge [electrons] that gives real-valued ADC counts."""
        d = self.detector
        return (np.asarray(adc) * (d.reference - d.common_mode) / d.counts + d.common_mode - d.pedestal) / d.gain

    def bin(self, count: float) -> tuple[float, float]:
        """The charges [electrons] that give one whole ADC count; the first and the last are without end."""
        low, high = (float(self.electrons(count + half)) for half in (-0.5, 0.5))
        return (-np.inf if count <= 0 else low), (np.inf if count >= self.detector.counts - 1 else high)

    def count_probability(self, mean: Floats, count: float) -> Floats:
        """Probability of a whole ADC count."""
        low, high = self.bin(count)
        width = self.electronics.sampling
        # The difference of the smaller tails, for a Gaussian far above or far below the bin.
        sign = np.where(mean > low, -1.0, 1.0)
        one, two = sign * (mean - low) / width, sign * (mean - high) / width
        return np.asarray(np.abs(ndtr(one) - ndtr(two)))

    def adc_density(self, mean: Floats, adc: float) -> Floats:
        """Density per ADC count of real-valued counts; a probability at the ends of the scale, where it is clipped."""
        return np.exp(self.log_adc_density(mean, adc))

    def log_adc_density(self, mean: npt.ArrayLike, adc: npt.ArrayLike) -> Floats:
        """Logarithm of `adc_density`, any shapes."""
        d, width = self.detector, self.electronics.sampling
        mean, adc = np.asarray(mean, dtype=np.float64), np.asarray(adc, dtype=np.float64)
        per_count = (d.reference - d.common_mode) / d.counts / d.gain
        inside = log_normal(self.electrons(adc) - mean, width) + np.log(per_count)
        full = log_ndtr((mean - self.electrons(d.counts)) / width)
        empty = log_ndtr((self.electrons(0.0) - mean) / width)
        return np.asarray(np.where(adc >= d.counts, full, np.where(adc <= 0.0, empty, inside)))

    # Real-valued times: the comparator is without noise and looks always.

    def log_density(self, times: Sequence[npt.ArrayLike], adc: Sequence[npt.ArrayLike]) -> Floats:
        """Logarithm of the density of hits at `times` [us] with real-valued `adc`, per us and ADC count of each hit.

        Hit after hit; each entry may be an array, of the same or of broadcasting shapes. At the moment of arming and
        at the ends of the ADC scale it is a probability instead of a density.
        """
        d, e = self.detector, self.electronics
        log = np.zeros(())
        armed, reset = np.asarray(self.begin), np.zeros(())
        for time, counts in zip(times, adc, strict=True):
            time = np.asarray(time, dtype=np.float64)
            crossed, held = self.charge(time), self.charge(time + d.hold)
            r = d.threshold - crossed + reset
            with np.errstate(divide="ignore"):
                later = np.log(self.current(time)) + log_normal(r, e.reset)
            joint = np.where(time < armed, -np.inf, later + self.log_adc_density(held - reset + r, counts))
            at_once = np.abs(time - armed) < SAME_TIME
            if at_once.any():
                at_once, joint, r, rise, adc_there = np.broadcast_arrays(at_once, joint, r, held - reset, counts)
                joint = joint.copy()
                joint[at_once] = self._log_armed(r[at_once], rise[at_once], adc_there[at_once])
            log = log + joint
            armed, reset = time + d.hold, held
        return log + self._log_end(len(times), reset)

    def _log_end(self, hits: int, reset: Floats) -> Floats:
        """Logarithm of the probability that no hit follows."""
        if hits == self.detector.max_hits:
            return np.zeros_like(reset)
        total = self.charge(np.asarray(self.end))
        return np.asarray(log_ndtr((self.detector.threshold - total + reset) / self.electronics.reset))

    def _log_armed(self, least: Floats, held: Floats, adc: npt.ArrayLike) -> Floats:
        """Logarithm of the joint density of r >= `least` and of an ADC value recorded of `held` + r, by quadrature."""
        r = self._tail(least)
        log = log_normal(r, self.electronics.reset) + self.log_adc_density(held + r, adc)
        highest = log.max(axis=0)
        return np.asarray(highest + np.log(simpson(np.exp(log - highest), x=r, axis=0)))

    def _tail(self, least: Floats) -> Floats:
        """Values of r from `least` to beyond all of the rest of its Gaussian, along a new first axis."""
        width = self.electronics.reset
        share = np.linspace(0.0, 1.0, 2001).reshape(-1, *[1] * np.ndim(least))
        return np.asarray(least + share * (np.maximum(least, 0.0) + _REACH * width - least))

    # Whole numbers: times are those of the comparator without noise, rounded down to a tick.

    def log_probability(self, ticks: Sequence[int], counts: Sequence[float]) -> float:
        """Logarithm of the probability of whole clock ticks and whole ADC counts, hit after hit.

        Forward recursion: after each hit stand the moments at which it may have been, with their weights.
        """
        d, e = self.detector, self.electronics
        armed, reset, weight = np.array([self.begin]), np.zeros(1), np.ones(1)
        for tick, count in zip(ticks, counts, strict=True):
            low, high = tick * e.clock - e.early, (tick + 1) * e.clock - e.early
            step = (high - low) / _POINTS
            time: Floats = low + (np.arange(_POINTS, dtype=np.float64) + 0.5) * step
            crossed, held = self.charge(time), self.charge(time + d.hold)
            r = d.threshold - crossed + reset[:, None]
            # The share of each step that lies after the arming.
            after = np.clip((time + 0.5 * step - armed[:, None]) / step, 0.0, 1.0)
            later = (weight[:, None] * np.exp(log_normal(r, e.reset)) * after).sum(axis=0) * self.current(time) * step
            later = later * self.count_probability(d.threshold + held - crossed, count)
            # Hits at the moment of arming are moments of their own.
            at_once = np.flatnonzero((armed >= low) & (armed < high))
            held_then = self.charge(armed[at_once] + d.hold)
            r = self._tail(d.threshold - self.charge(armed[at_once]) + reset[at_once])
            joint = np.exp(log_normal(r, e.reset)) * self.count_probability(held_then - reset[at_once] + r, count)
            armed = np.concatenate([time, armed[at_once]]) + d.hold
            weight = np.concatenate([later, weight[at_once] * simpson(joint, x=r, axis=0)])
            reset = np.concatenate([held, held_then])
        with np.errstate(divide="ignore"):
            return float(np.log(weight @ np.exp(self._log_end(len(ticks), reset))))

    # A comparator with noise, or one that is looked at once per clock tick.

    def at_looks(self, ticks: Sequence[int], adc: Sequence[float], recorded: Recorded) -> float:
        """Logarithm of the probability of hits at clock `ticks`, times what `recorded` says of the ADC, hit after hit.

        The comparator is looked at on every tick of the clock from the arming on, that of the arming included, up to
        the last before `end`. `recorded` is `adc_density` or `count_probability`.
        """
        d, e = self.detector, self.electronics
        last = int(np.floor(self.end / e.clock + SAME_TIME))
        armed, reset, probability = self.begin, 0.0, 1.0
        r = self._all_r()
        prior = np.exp(log_normal(r, e.reset))
        for tick, counts in zip(ticks, adc, strict=True):
            silent = np.exp(self._log_silent(r, armed, tick - 1, reset))
            crossed, held = (float(self.charge(np.asarray(tick * e.clock + wait))) for wait in (0.0, d.hold))
            fires = ndtr((crossed + r - reset - d.threshold) / e.comparator)
            joint = prior * silent * fires * recorded(held - reset + r, counts)
            looked = np.ceil(armed / e.clock - SAME_TIME) <= tick <= last
            probability *= float(np.trapezoid(joint, r)) if looked else 0.0
            armed, reset = tick * e.clock + d.hold, held
        if len(ticks) < d.max_hits:
            probability *= float(np.trapezoid(prior * np.exp(self._log_silent(r, armed, last, reset)), r))
        with np.errstate(divide="ignore"):
            return float(np.log(probability))

    def _all_r(self) -> Floats:
        """Values of r that resolve both its own width and that of the comparator."""
        e = self.electronics
        step = min(e.reset, e.comparator) / 4.0
        return np.linspace(-_REACH * e.reset, _REACH * e.reset, 2 * int(np.ceil(_REACH * e.reset / step)) + 1)

    def _log_silent(self, r: Floats, armed: float, last: int, reset: float) -> Floats:
        """Logarithm of the probability, given r, that no look from the arming to the tick `last` fires."""
        d, e = self.detector, self.electronics
        log = np.zeros_like(r)
        for tick in range(int(np.ceil(armed / e.clock - SAME_TIME)), last + 1):
            over = float(self.charge(np.asarray(tick * e.clock))) + r - reset - d.threshold
            log += log_ndtr(-over / e.comparator)
        return log
