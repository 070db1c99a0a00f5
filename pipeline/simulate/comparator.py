"""A comparator with noise of its own: when it is looked at, the same in simulation and likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .charge import PixelCharges
from .waveform import windows

#: How many widths of each noise may make a crossing.
WIDEST_NOISE = 6.0
#: A moment this part of a tick after a look is at that look, on whichever side rounding left it.
_SAME_TICK = 1e-3


@dataclass(frozen=True)
class Looks:
    """Looks at pixels: tick i of a pixel is at `start + i * clock` [us], for i = 0 ... `count` - 1; `(pixels,)`.

    Pixels whose `total` [electrons] is below `lowest` never fire.
    """

    lowest: Tensor
    start: Tensor
    count: Tensor
    total: Tensor
    clock: float

    def time(self, pixel: Tensor, tick: Tensor) -> Tensor:
        """`(r,)` times [us] of ticks of pixels."""
        return self.start[pixel] + tick.to(self.start.dtype) * self.clock

    def since(self, pixel: Tensor, time: Tensor) -> Tensor:
        """`(r,)` first tick of `pixel` at or after `time` [us]; beyond the last one it is `count` or more."""
        return ((time - self.start[pixel]) / self.clock - _SAME_TICK).ceil().long()


@dataclass(frozen=True)
class Comparator:
    """A comparator with white noise of `width` [electrons] that is looked at once per `clock` tick [us].

    `reset` [electrons] is the width of the noise of resets; `phase` `(pixels,)` [us] how long after a tick the
    reference time of each pixel is.
    """

    width: float
    reset: float
    clock: float
    phase: Tensor

    @property
    def reach(self) -> float:
        """How far [electrons] below the threshold a charge may make a crossing, from both noises."""
        return WIDEST_NOISE * (self.width + self.reset)

    def looks(self, charges: PixelCharges, total: Tensor, threshold: float | Tensor) -> Looks:
        """All ticks at which each pixel may fire, the same for any draw of the noise.

        They end when the charge has arrived: a pixel that stays near its threshold is looked at no longer.
        """
        lowest = torch.as_tensor(threshold - self.reach).to(total).expand_as(total)
        start, count = windows(charges, total, lowest.clamp(min=1.0), self.clock, self.phase)
        return Looks(lowest, start, count, total, self.clock)
