"""Constants of single pixels: threshold, gain and pedestal, and the ADC counts that follow from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError
from ..tables import Bools, Floats, Ints
from .geometry import DetectorGeometry, ReadoutConstants

#: Drawn constants lie within this many widths of the nominal ones.
WIDEST_SPREAD = 4.0


@dataclass(frozen=True)
class PixelConstants:
    """`threshold` [electrons], `gain` [mV/electron] and `pedestal` [mV] of the channels of a detector.

    `(channels,)` each, in the order of `DetectorGeometry.channel`, or `()` where all channels have the same. `readout`
    holds what all pixels share.
    """

    readout: ReadoutConstants
    channels: int
    threshold: Floats
    gain: Floats
    pedestal: Floats

    @staticmethod
    def nominal(geometry: DetectorGeometry) -> PixelConstants:
        """Every pixel as the detector file has it."""
        r = geometry.readout
        return PixelConstants(
            r, geometry.channels, *(np.asarray(v, dtype=np.float64) for v in (r.threshold, r.gain, r.pedestal))
        )

    def of(self, channel: Ints) -> tuple[Floats, Floats, Floats]:
        """Threshold, gain and pedestal `(n,)` of channels `(n,)`."""
        threshold, gain, pedestal = (np.broadcast_to(v, self.channels)[channel] for v in self._all)
        return threshold, gain, pedestal

    def adc(self, charge: Floats, channel: Ints) -> Floats:
        """`(n,)` real-valued ADC counts of `charge` `(n,)` [electrons], clipped to 0 ... adc_counts.

        counts = (gain q + pedestal - common mode) x adc_counts / (reference - common mode)
        """
        _, gain, pedestal = self.of(channel)
        volts = np.maximum(charge * gain + pedestal - self.readout.common_mode, 0.0)
        return np.asarray(np.minimum(volts * self.readout.counts_per_mv, float(self.readout.adc_counts)))

    def charge(self, adc: Floats, channel: Ints) -> Floats:
        """`(n,)` charge [electrons] of ADC counts `(n,)`: the inverse of `adc` between its ends, without clipping."""
        _, gain, pedestal = self.of(channel)
        return np.asarray((adc / self.readout.counts_per_mv + self.readout.common_mode - pedestal) / gain)

    def counts_per_electron(self, channel: Ints) -> Floats:
        """`(n,)` ADC counts per electron of channels."""
        return self.of(channel)[1] * self.readout.counts_per_mv

    def digest(self) -> str:
        """SHA-256 of all constants: equal for equal constants, however they were given."""
        found = hashlib.sha256()
        for values in self._all:
            found.update(np.broadcast_to(values, self.channels).astype("<f8").tobytes())
        return found.hexdigest()

    @property
    def _all(self) -> tuple[Floats, Floats, Floats]:
        return self.threshold, self.gain, self.pedestal


def faults(
    readout: ReadoutConstants, threshold: Floats, gain: Floats, pedestal: Floats
) -> Iterator[tuple[str, Bools, str]]:
    """Constants `(n,)` that no pixel can work with: which of the three, a mask `(n,)` of the bad ones, and what they
    must be.
    """
    with np.errstate(invalid="ignore"):
        yield "threshold", ~((threshold > 0) & np.isfinite(threshold)), "above 0 electrons"
        yield "gain", ~((gain > 0) & np.isfinite(gain)), "above 0 mV per electron"
        low, high = readout.common_mode, readout.reference
        inside = (pedestal >= low) & (pedestal < high)
        yield "pedestal", ~inside, f"within the range of the ADC, {low:g} (common mode) to {high:g} mV (reference)"


def draw_pixels(
    geometry: DetectorGeometry, *, threshold_spread: float, gain_spread: float, pedestal_spread: float, seed: int
) -> PixelConstants:
    """Constants drawn once for every pixel of a detector, from Gaussians about the nominal ones, cut at
    `WIDEST_SPREAD` widths.

    Widths in electrons, relative to the nominal gain, and in mV. The draws of one constant do not depend on the widths
    of the others. Raises `ConfigError` where a width allows constants that no pixel can work with.
    """
    nominal = PixelConstants.nominal(geometry)
    rng = np.random.default_rng([seed, 8])
    drawn = rng.standard_normal((3, nominal.channels))
    while (beyond := np.abs(drawn) > WIDEST_SPREAD).any():
        drawn[beyond] = rng.standard_normal(np.count_nonzero(beyond))
    readout = geometry.readout
    widths = (threshold_spread, gain_spread * readout.gain, pedestal_spread)
    middles = (readout.threshold, readout.gain, readout.pedestal)
    names = ("threshold_spread_electrons", "gain_spread", "pedestal_spread_mv")
    ends = [middle + width * WIDEST_SPREAD * np.array([-1.0, 1.0]) for middle, width in zip(middles, widths)]
    for name, (what, bad, must) in zip(names, faults(readout, *ends), strict=True):
        if bad.any():
            raise ConfigError(
                f"readout.pixels.{name} is so wide that the {what} of some pixels, up to {WIDEST_SPREAD:g} widths from "
                f"nominal, would not be {must}; use less."
            )
    values = [m + w * z if w else np.asarray(m) for m, w, z in zip(middles, widths, drawn)]
    return PixelConstants(readout, nominal.channels, *values)
