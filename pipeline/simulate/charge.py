"""Cumulative charge of pixels at given times, and its exact derivatives.

For a packet n on a pixel, `Q_n(t) = q_n sum_k W_nk c_k(t - t_n, sigma_n)`: W from `transverse`, c_k from `response_table`.
Each parameter acts through the six quantities of a packet, so all derivatives come from the same table look-up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .response_table import SIGMA_RANGE, ResponseTable
from .transverse import axis_weights

#: Rows (packet, time) handled at once; bounds the memory of a look-up.
ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class PixelCharges:
    """The packets of some pixels, ready to be evaluated at any time.

    `first` `(pixels + 1,)` first packet of each pixel; `charge`, `time` `(n,)`; `weights` `(n, K, 1 or 4)`: W and, with
    derivatives, dW/dx, dW/dy, dW/dsigma_T; `sigma_cell`, `sigma_powers` `(n, 4)`, `sigma_slopes` `(n, 4)` place sigma in the table;
    `tangents` `(n, 6, P)`: derivatives of the six quantities to P parameters.
    """

    table: ResponseTable
    first: Tensor
    charge: Tensor
    time: Tensor
    sigma_time: Tensor
    weights: Tensor
    sigma_cell: Tensor
    sigma_powers: Tensor
    sigma_slopes: Tensor
    tangents: Tensor | None

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return int(self.first.shape[0]) - 1

    def total(self) -> Tensor:
        """`(pixels,)` charge [electrons] that each pixel collects in the end."""
        return segment_sum(self.charge * self.weights[:, 0, 0], self.first.diff())

    def evaluate(self, pixel: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Charge [electrons] and current [electrons/us] of `pixel` `(r,)` at `time` `(r,)`."""
        charge = torch.empty_like(time)
        current = torch.empty_like(time)
        for part, rows, counts in self._rows(pixel):
            local = self._lookup(rows, torch.repeat_interleave(time[part], counts), columns=1)
            charge[part], current[part] = segment_sum(self.charge[rows, None] * local[:, :2, 0], counts).unbind(1)
        return charge, current

    def evaluate_with_derivatives(self, pixel: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `evaluate`, and the derivative `(r, P)` of the charge at fixed time to the parameters."""
        assert self.tangents is not None
        charge = torch.empty_like(time)
        current = torch.empty_like(time)
        slopes = torch.empty(time.shape[0], self.tangents.shape[2], dtype=time.dtype, device=time.device)
        for part, rows, counts in self._rows(pixel):
            local = self._lookup(rows, torch.repeat_interleave(time[part], counts), columns=self.weights.shape[2])
            q = self.charge[rows]
            # Derivatives of q C to charge, x, y, arrival time, sigma_T, sigma_t.
            by_packet = torch.stack(
                [local[:, 0, 0], q * local[:, 0, 1], q * local[:, 0, 2], -q * local[:, 1, 0], q * local[:, 0, 3],
                 q * local[:, 2, 0]], dim=1,
            )  # fmt: skip
            by_parameter = torch.bmm(by_packet[:, None, :], self.tangents.index_select(0, rows))[:, 0]
            summed = segment_sum(torch.cat([q[:, None] * local[:, :2, 0], by_parameter], dim=1), counts)
            charge[part], current[part], slopes[part] = summed[:, 0], summed[:, 1], summed[:, 2:]
        return charge, current, slopes

    def _rows(self, pixel: Tensor) -> list[tuple[slice, Tensor, Tensor]]:
        """Requests in slices of bounded size, each with its packet rows and their number per request."""
        counts = self.first[pixel + 1] - self.first[pixel]
        ends = counts.cumsum(0)
        parts: list[tuple[slice, Tensor, Tensor]] = []
        start, done = 0, 0
        while start < pixel.shape[0]:
            end = int(torch.searchsorted(ends, done + ROWS_AT_ONCE, right=True))
            end = max(end, start + 1)
            part = slice(start, end)
            n = counts[part]
            offset = torch.repeat_interleave(self.first[pixel[part]] - (n.cumsum(0) - n), n)
            parts.append((part, offset + torch.arange(offset.shape[0], device=offset.device), n))
            start, done = end, int(ends[end - 1])
        return parts

    def _lookup(self, rows: Tensor, time: Tensor, columns: int) -> Tensor:
        """`(rows, 3, columns)`: C, dC/dt, dC/dsigma_t of each packet, for each column of the weights."""
        table = self.table
        place = ((time - self.time.index_select(0, rows)) - table.time_start) / table.time_step
        place = place.clamp(0.0, table.time_cells * (1 - 1e-7))
        cell = place.floor()
        f = (place - cell)[:, None]
        index = cell.long() * table.sigma_cells + self.sigma_cell.index_select(0, rows)
        coefficients = table.cells.index_select(0, index).view(-1, 16, table.count)
        one, zero = torch.ones_like(f), torch.zeros_like(f)
        powers = torch.cat([one, f, f * f, f * f * f], dim=1)[:, :, None]
        slopes = (torch.cat([zero, one, 2 * f, 3 * f * f], dim=1) / table.time_step)[:, :, None]
        in_sigma = self.sigma_powers.index_select(0, rows)[:, None, :]
        by_sigma = self.sigma_slopes.index_select(0, rows)[:, None, :]
        monomials = torch.stack(
            [(powers * in_sigma).flatten(1), (slopes * in_sigma).flatten(1), (powers * by_sigma).flatten(1)], dim=1
        )
        curves = torch.bmm(monomials, coefficients)
        return torch.bmm(curves, self.weights.index_select(0, rows)[:, :, :columns])


def pixel_charges(
    table: ResponseTable,
    pitch: float,
    first: Tensor,
    quantities: tuple[Tensor, ...],
    tangents: Tensor | None,
) -> PixelCharges:
    """Prepare the packets `quantities` (see `drift.QUANTITIES`) of pixels whose first packets are `first`."""
    charge, x, y, time, sigma_transverse, sigma_time = quantities
    wx, wx_x, wx_s = axis_weights(x, sigma_transverse, pitch, table.intervals)
    wy, wy_y, wy_s = axis_weights(y, sigma_transverse, pitch, table.intervals)
    products = [_product(wx, wy)]
    if tangents is not None:
        products += [_product(wx_x, wy), _product(wx, wy_y), _product(wx_s, wy) + _product(wx, wy_s)]
    weights = torch.stack([p @ table.shapes for p in products], dim=2)
    low, high = SIGMA_RANGE
    sigma = sigma_time.clamp(low, high * (1 - 1e-6))
    place = (sigma.log() - table.log_sigma_start) / table.log_sigma_step
    place = place.clamp(0.0, table.sigma_cells * (1 - 1e-7))
    cell = place.floor()
    g = (place - cell)[:, None]
    one, zero = torch.ones_like(g), torch.zeros_like(g)
    # Below the table's range the value is constant, so its derivative is zero.
    inside = ((sigma_time > low) & (sigma_time < high)).to(sigma.dtype)[:, None]
    slope = torch.cat([zero, one, 2 * g, 3 * g * g], dim=1) * inside / (table.log_sigma_step * sigma[:, None])
    return PixelCharges(
        table=table,
        first=first,
        charge=charge,
        time=time,
        sigma_time=sigma,
        weights=weights,
        sigma_cell=cell.long(),
        sigma_powers=torch.cat([one, g, g * g, g * g * g], dim=1),
        sigma_slopes=slope,
        tangents=tangents,
    )


def _product(wx: Tensor, wy: Tensor) -> Tensor:
    """Outer product `(n, (k+1)^2)` of weights along x and y."""
    return (wx[:, :, None] * wy[:, None, :]).flatten(1)


def segment_sum(values: Tensor, counts: Tensor) -> Tensor:
    """Sums over consecutive runs of rows, in order (the same on any number of threads)."""
    return torch.segment_reduce(values, "sum", lengths=counts, axis=0)
