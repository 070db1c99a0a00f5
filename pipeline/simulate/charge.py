"""Cumulative charge of pixels at given times, and its exact derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from . import compiled, tensors
from .drift import Tangents
from .response_table import SIGMA_RANGE, ResponseTable
from .tensors import segment_sum


@dataclass(frozen=True)
class Runs:
    """Consecutive packets of pixels that are summed together: `first` `(pixels + 1,)` the first run of each pixel,
    `packet` `(runs + 1,)` the first packet of each run."""

    first: Tensor
    packet: Tensor

    def counts(self, pixel: Tensor) -> Tensor:
        """Numbers `(r,)` of runs of each `pixel` `(r,)`."""
        return self.first.diff()[pixel]

    def lengths_of(self, pixel: Tensor) -> Tensor:
        """Numbers of packets in each run of each `pixel` `(r,)`, one after the other."""
        return self.packet.diff()[in_ranges(self.first, pixel)]


def in_ranges(first: Tensor, which: Tensor) -> Tensor:
    """All numbers from `first[i]` to before `first[i + 1]`, for each i in `which` `(r,)`, one after the other."""
    counts = first.diff()[which]
    start = torch.repeat_interleave(first[which] - (counts.cumsum(0) - counts), counts)
    return start + torch.arange(len(start), device=start.device)


@dataclass(frozen=True)
class PixelCharges:
    """The packets of some pixels, ready to be evaluated at any time.

    `first` `(pixels + 1,)` first packet of each pixel; `charge`, `time`, `sigma_time` `(n,)`; `weights` `(n, 1 or 4,
    K)`: W, and with `tangents` dW/dx, dW/dy, dW/dsigma_T; `node` `(n,)`. Of nodes `(m,)`: `sigma_cell`, `sigma_powers`
    `(m, 2, 4)` place sigma_t in the table: its powers, and their derivatives; `tangents`: derivatives of what is the
    same for all packets of a node to the free parameters.
    """

    table: ResponseTable
    first: Tensor
    charge: Tensor
    time: Tensor
    sigma_time: Tensor
    weights: Tensor
    node: Tensor
    sigma_cell: Tensor
    sigma_powers: Tensor
    tangents: Tangents | None

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return int(self.first.shape[0]) - 1

    @property
    def parameters(self) -> int:
        """Number of free parameters."""
        return 0 if self.tangents is None else int(self.tangents.values.shape[2])

    @property
    def in_pixels(self) -> Runs:
        """All packets of each pixel in one run."""
        return Runs(torch.arange(self.pixels + 1, device=self.first.device), self.first)

    def packets_of(self, pixel: Tensor) -> Tensor:
        """Rows of the packets of each `pixel` `(r,)`, one after the other."""
        return in_ranges(self.first, pixel)

    def total(self) -> Tensor:
        """`(pixels,)` charge [electrons] that each pixel collects in the end."""
        return segment_sum(self.charge * self.weights[:, 0, 0], self.first.diff())

    def total_with_derivatives(self) -> tuple[Tensor, Tensor]:
        """As `total`, and its derivatives `(pixels, P)` to the parameters."""
        return self.total(), segment_sum(self.terms_in_the_end(), self.first.diff())

    def terms_in_the_end(self) -> Tensor:
        """`(n, P)` derivatives of the charge that each packet leaves in the end."""
        assert self.tangents is not None
        # The first shape is collected whole, all others cancel.
        value, by_x, by_y, by_sigma = self.weights[:, :, 0].unbind(1)
        q = self.charge
        by = {"charge": value, "x": q * by_x, "y": q * by_y, "sigma_transverse": q * by_sigma}
        terms = q.new_zeros(len(q), self.parameters)
        for j, name in enumerate(self.tangents.quantities):
            if name in by:
                terms.addcmul_(by[name][:, None], self.tangents.values[:, j].index_select(0, self.node))
        return terms

    def evaluate(self, pixel: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Charge [electrons] and current [electrons/us] of `pixel` `(r,)` at `time` `(r,)`."""
        values, _ = self.sums(self.in_pixels, pixel, time, 0)
        return _columns(values)

    def evaluate_with_derivatives(self, pixel: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `evaluate`, and the derivative `(r, P)` of the charge at fixed time to the parameters."""
        values, slopes = self.sums(self.in_pixels, pixel, time, 1)
        return *_columns(values), slopes[:, 0].contiguous()

    def evaluate_to_second_order(self, pixel: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As `evaluate_with_derivatives`, and the derivative `(r, P)` of the current at fixed time."""
        values, slopes = self.sums(self.in_pixels, pixel, time, 2)
        return *_columns(values), slopes[:, 0].contiguous(), slopes[:, 1].contiguous()

    def sums(self, runs: Runs, pixel: Tensor, time: Tensor, orders: int) -> tuple[Tensor, Tensor]:
        """`(m, 2)` charge [electrons] and current [electrons/us] of each run of `pixel` `(r,)` at `time` `(r,)`, and
        the derivatives `(m, orders, P)` of the first `orders` of these at fixed time to the parameters."""
        # Machine code checks nothing.
        assert len(pixel) == len(time) and not (pixel < 0).any() and (self.tangents is not None or not orders)
        found = compiled.sums if _on_processor(time) else tensors.sums
        return found(self, runs, pixel, time, orders)


def _columns(values: Tensor) -> tuple[Tensor, Tensor]:
    # Arrays of their own, not views: sums over them must not depend on where they lie in memory.
    return values[:, 0].contiguous(), values[:, 1].contiguous()


def _on_processor(values: Tensor) -> bool:
    return values.device.type == "cpu"


@dataclass(frozen=True)
class Places:
    """Where the packets of pixels `(n,)` are: the `node` that they are of, the same as seen from the pixel's centre,
    `x`, `y` [cm], and `delay` [us] of the deposit after the pixel's reference time."""

    node: Tensor
    x: Tensor
    y: Tensor
    delay: Tensor


def pixel_charges(
    table: ResponseTable,
    pitch: float,
    first: Tensor,
    places: Places,
    quantities: tuple[Tensor, ...],
    tangents: Tangents | None,
) -> PixelCharges:
    """Prepare the packets at `places` of pixels whose first packets are `first`; `quantities` (see `drift.QUANTITIES`)
    and `tangents` are those of the nodes."""
    *others, sigma_time = quantities
    charge, x, y, time, sigma_transverse = (q.index_select(0, places.node) for q in others)
    x, y = places.x + x, places.y + y
    weigh = compiled.weights if _on_processor(x) else tensors.weights
    weights = weigh(table, pitch, x, y, sigma_transverse, derivatives=tangents is not None)
    low, high = SIGMA_RANGE
    sigma = sigma_time.clamp(low, high * (1 - 1e-6))
    place = (sigma.log() - table.log_sigma_start) / table.log_sigma_step
    place = place.clamp(0.0, table.sigma_cells * (1 - 1e-7))
    cell = place.floor()
    g = (place - cell)[:, None]
    one, zero = torch.ones_like(g), torch.zeros_like(g)
    # Below the table's range the value is constant, so its derivative is zero.
    inside = ((sigma_time > low) & (sigma_time < high)).to(sigma.dtype)[:, None]
    powers = torch.cat([one, g, g * g, g * g * g], dim=1)
    slopes = torch.cat([zero, one, 2 * g, 3 * g * g], dim=1) * inside / (table.log_sigma_step * sigma[:, None])
    return PixelCharges(
        table=table,
        first=first,
        charge=charge,
        time=places.delay + time,
        sigma_time=sigma.index_select(0, places.node),
        weights=weights,
        node=places.node,
        # What is no number is in no cell, but must not be looked for outside the table.
        sigma_cell=cell.long().clamp(0, table.sigma_cells - 1),
        sigma_powers=torch.stack([powers, slopes], dim=1),
        tangents=tangents,
    )
