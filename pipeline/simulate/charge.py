"""Cumulative charge of pixels at given times, and its exact derivatives.

For a packet n on a pixel, `Q_n(t) = q_n sum_k W_nk c_k(t - t_n, sigma_n)`: W from `transverse`, c_k from
`response_table`. Each parameter acts through the six quantities of a packet, so all derivatives come from the same
table look-up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .drift import Tangents
from .response_table import SIGMA_RANGE, ResponseTable
from .transverse import AxisWeights

#: Rows (packet, time) handled at once; bounds the memory of a look-up.
ROWS_AT_ONCE = 8_192

#: Packets whose weights are computed at once; small enough for the products over the pixel to stay in the cache.
PACKETS_AT_ONCE = 2_048


@dataclass(frozen=True)
class PixelCharges:
    """The packets of some pixels, ready to be evaluated at any time.

    `first` `(pixels + 1,)` first packet of each pixel; `charge`, `time` `(n,)`; `weights` `(n, K, columns)`: W and
    those of dW/dx, dW/dy, dW/dsigma_T that `tangents` need; `sigma_cell` `(n,)`, `sigma_powers` `(n, 3, 4)` place
    sigma_t in the table: its powers for C and dC/dt, then their derivative for dC/dsigma_t;
    `tangents`: derivatives of the packets to the free parameters.
    """

    table: ResponseTable
    first: Tensor
    charge: Tensor
    time: Tensor
    sigma_time: Tensor
    weights: Tensor
    sigma_cell: Tensor
    sigma_powers: Tensor
    tangents: Tangents | None

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return int(self.first.shape[0]) - 1

    def total(self) -> Tensor:
        """`(pixels,)` charge [electrons] that each pixel collects in the end."""
        return segment_sum(self.charge * self.weights[:, 0, 0], self.first.diff())

    def total_with_derivatives(self) -> tuple[Tensor, Tensor]:
        """As `total`, and its derivatives `(pixels, P)` to the parameters."""
        return self.total(), segment_sum(self.terms_in_the_end(), self.first.diff())

    def terms_in_the_end(self) -> Tensor:
        """`(n, P)` derivatives of the charge that each packet leaves in the end."""
        assert self.tangents is not None
        # In the end the first shape is collected whole, all others cancel.
        in_the_end = torch.zeros_like(self.weights[:, :1, :]).expand(-1, 3, -1).clone()
        in_the_end[:, 0, :] = self.weights[:, 0, :]
        moved = self._moved(in_the_end, self.charge, value=0, in_time=1, in_sigma=2)
        return torch.bmm(moved[:, None, :], self.tangents.values)[:, 0]

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
        charge, current, slopes = self._summed(pixel, time, second=False)
        return charge, current, slopes

    def evaluate_to_second_order(self, pixel: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As `evaluate_with_derivatives`, and the derivative `(r, P)` of the current at fixed time."""
        charge, current, of_charge, of_current = self._summed(pixel, time, second=True)
        return charge, current, of_charge, of_current

    def _summed(self, pixel: Tensor, time: Tensor, *, second: bool) -> tuple[Tensor, ...]:
        assert self.tangents is not None
        count = self.tangents.values.shape[2]
        orders = 2 if second else 1
        # Arrays of their own, not views: sums over them must not depend on where they lie in memory.
        charge, current = torch.empty_like(time), torch.empty_like(time)
        slopes = [time.new_empty(len(time), count) for _ in range(orders)]
        for part, _, counts, values, terms in self.terms(pixel, time, second=second):
            summed = segment_sum(torch.cat([values, terms.flatten(1)], dim=1), counts)
            charge[part], current[part] = summed[:, 0], summed[:, 1]
            for k, of_order in enumerate(slopes):
                of_order[part] = summed[:, 2 + k * count : 2 + (k + 1) * count]
        return charge, current, *slopes

    def terms(
        self, pixel: Tensor, time: Tensor, *, second: bool
    ) -> Iterator[tuple[slice, Tensor, Tensor, Tensor, Tensor]]:
        """What single packets add to the charge (and current) of `pixel` at `time` `(r,)`, some requests at once.

        Yields the slice of the requests, the packets `(rows,)`, their number per request, `(rows, 2)` charge and
        current, and `(rows, 1 or 2, P)` the derivatives of the charge and, with `second`, of the current.
        """
        assert self.tangents is not None
        columns = self.weights.shape[2]
        for part, rows, counts in self._rows(pixel):
            local = self._lookup(rows, torch.repeat_interleave(time[part], counts), columns, second=second)
            q = self.charge[rows]
            moved = [self._moved(local, q, value=0, in_time=1, in_sigma=2)]
            if second:
                moved.append(self._moved(local, q, value=1, in_time=3, in_sigma=4))
            slopes = torch.bmm(torch.stack(moved, 1), self.tangents.values.index_select(0, rows))
            yield part, rows, counts, q[:, None] * local[:, :2, 0], slopes

    def _moved(self, local: Tensor, q: Tensor, *, value: int, in_time: int, in_sigma: int) -> Tensor:
        """Derivatives `(rows, quantities)` of what a packet of charge `q` adds to a pixel, to its own quantities.

        `local` `(rows, curves, columns)`; the others say which curve is the value, and which its derivatives.
        """
        assert self.tangents is not None
        columns = iter(range(1, local.shape[2]))
        moved = []
        for name in self.tangents.quantities:
            if name == "charge":
                moved.append(local[:, value, 0])
            elif name == "time":
                moved.append(-q * local[:, in_time, 0])
            elif name == "sigma_time":
                moved.append(q * local[:, in_sigma, 0])
            else:
                moved.append(q * local[:, value, next(columns)])
        return torch.stack(moved, 1) if moved else q.new_zeros(len(q), 0)

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

    def _lookup(self, rows: Tensor, time: Tensor, columns: int, *, second: bool = False) -> Tensor:
        """`(rows, 3, columns)`: C, dC/dt, dC/dsigma_t of each packet, for each column of the weights.

        With `second` `(rows, 5, columns)`: the derivatives of dC/dt to t and sigma_t follow.
        """
        table = self.table
        place = ((time - self.time.index_select(0, rows)) - table.time_start) / table.time_step
        place = place.clamp(0.0, table.time_cells * (1 - 1e-7))
        cell = place.floor()
        f = (place - cell)[:, None]
        index = cell.long() * table.sigma_cells + self.sigma_cell.index_select(0, rows)
        coefficients = table.cells.index_select(0, index).view(-1, 16, table.count)
        one = torch.ones_like(f)
        square = f * f
        powers = [one, f, square, square * f]
        slopes = [torch.zeros_like(f), one / table.time_step, f * (2 / table.time_step), square * (3 / table.time_step)]
        orders = [*powers, *slopes, *powers]
        in_sigma = self.sigma_powers.index_select(0, rows)
        if second:
            step = table.time_step**2
            orders += [torch.zeros_like(f), torch.zeros_like(f), one * (2 / step), f * (6 / step), *slopes]
            in_sigma = in_sigma[:, [0, 1, 2, 0, 2]]
        in_time = torch.cat(orders, dim=1).view(len(f), -1, 4, 1)
        monomials = (in_time * in_sigma[:, :, None, :]).view(len(f), -1, 16)
        curves = torch.bmm(monomials, coefficients)
        return torch.bmm(curves, self.weights.index_select(0, rows)[:, :, :columns])


def pixel_charges(
    table: ResponseTable,
    pitch: float,
    first: Tensor,
    quantities: tuple[Tensor, ...],
    tangents: Tangents | None,
) -> PixelCharges:
    """Prepare the packets `quantities` (see `drift.QUANTITIES`) of pixels whose first packets are `first`."""
    charge, x, y, time, sigma_transverse, sigma_time = quantities
    moving = () if tangents is None else tangents.quantities
    weights = torch.cat(
        [
            _weights(table, pitch, x[a : a + PACKETS_AT_ONCE], y[a : a + PACKETS_AT_ONCE],
                     sigma_transverse[a : a + PACKETS_AT_ONCE], moving)
            for a in range(0, max(len(x), 1), PACKETS_AT_ONCE)
        ]
    )  # fmt: skip
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
        time=time,
        sigma_time=sigma,
        weights=weights,
        sigma_cell=cell.long(),
        sigma_powers=torch.stack([powers, powers, slopes], dim=1),
        tangents=tangents,
    )


def _weights(
    table: ResponseTable, pitch: float, x: Tensor, y: Tensor, sigma: Tensor, moving: tuple[str, ...]
) -> Tensor:
    """Weights `(n, K, columns)` of the shapes, and their derivatives to those of x, y, sigma_T that are `moving`."""
    wx = AxisWeights(x, sigma, pitch, table.intervals)
    wy = AxisWeights(y, sigma, pitch, table.intervals)
    products = [_product(wx.value, wy.value)]
    for name in moving:  # in the order of QUANTITIES
        if name == "x":
            products.append(_product(wx.by_offset(), wy.value))
        elif name == "y":
            products.append(_product(wx.value, wy.by_offset()))
        elif name == "sigma_transverse":
            products.append(_product(wx.by_sigma(), wy.value) + _product(wx.value, wy.by_sigma()))
    return torch.stack([p @ table.shapes for p in products], dim=2)


def _product(wx: Tensor, wy: Tensor) -> Tensor:
    """Outer product `(n, (k+1)^2)` of weights along x and y."""
    return (wx[:, :, None] * wy[:, None, :]).flatten(1)


def segment_sum(values: Tensor, counts: Tensor) -> Tensor:
    """Sums over consecutive runs of rows, in order (the same on any number of threads)."""
    return torch.segment_reduce(values, "sum", lengths=counts, axis=0)
