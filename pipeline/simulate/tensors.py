"""Weights of the shapes and sums over packets in tensors, for any device: the formulas.

For a packet n on a pixel, `Q_n(t) = q_n sum_k W_nk c_k(t - t_n, sigma_n)`: W from `transverse`, c_k from
`response_table`. Each parameter acts through the six quantities of a packet, so all derivatives come from the same
table look-up. `compiled` has the same for processors, ten times faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .response_table import ResponseTable
from .transverse import AxisWeights

if TYPE_CHECKING:
    from .charge import PixelCharges, Runs

#: Rows (packet, time) handled at once; bounds the memory of a look-up.
ROWS_AT_ONCE = 8_192


def weights(table: ResponseTable, pitch: float, x: Tensor, y: Tensor, sigma: Tensor, *, derivatives: bool) -> Tensor:
    """Weights W `(n, 1, K)` of the shapes for clouds at `x`, `y` `(n,)` [cm] from the pixel centre, of width `sigma`
    `(n,)` [cm]; with `derivatives` `(n, 4, K)`: dW/dx, dW/dy, dW/dsigma follow."""
    along_x = AxisWeights(x, sigma, pitch, table.intervals)
    along_y = AxisWeights(y, sigma, pitch, table.intervals)
    products = [_product(along_x.value, along_y.value)]
    if derivatives:
        products += [
            _product(along_x.by_offset(), along_y.value),
            _product(along_x.value, along_y.by_offset()),
            _product(along_x.by_sigma(), along_y.value) + _product(along_x.value, along_y.by_sigma()),
        ]
    return torch.stack([p @ table.shapes for p in products], dim=1)


def _product(along_x: Tensor, along_y: Tensor) -> Tensor:
    """Outer product `(n, (k+1)^2)` of weights along x and y."""
    return (along_x[:, :, None] * along_y[:, None, :]).flatten(1)


def sums(charges: PixelCharges, runs: Runs, pixel: Tensor, time: Tensor, orders: int) -> tuple[Tensor, Tensor]:
    """See `PixelCharges.sums`."""
    counts = charges.first.diff()[pixel]
    ends = counts.cumsum(0)
    values, slopes = [time.new_zeros(0, 2)], [time.new_zeros(0, orders, charges.parameters)]
    start, done = 0, 0
    while start < len(pixel):
        end = max(int(torch.searchsorted(ends, done + ROWS_AT_ONCE, right=True)), start + 1)
        rows, lengths = charges.packets_of(pixel[start:end]), runs.lengths_of(pixel[start:end])
        local = _look_up(charges, rows, torch.repeat_interleave(time[start:end], counts[start:end]))
        q = charges.charge[rows]
        values.append(segment_sum(q[:, None] * local[:, :2, 0], lengths))
        if not orders:
            slopes.append(time.new_zeros(len(lengths), 0, charges.parameters))
        else:
            assert charges.tangents is not None
            moved = [_moved(charges, local, q, value=0, in_time=1, in_sigma=2)]
            if orders > 1:
                moved.append(_moved(charges, local, q, value=1, in_time=3, in_sigma=4))
            terms = torch.bmm(torch.stack(moved, 1), charges.tangents.values.index_select(0, charges.node[rows]))
            slopes.append(segment_sum(terms.flatten(1), lengths).view(len(lengths), orders, -1))
        start, done = end, int(ends[end - 1])
    return torch.cat(values), torch.cat(slopes)


def _moved(charges: PixelCharges, local: Tensor, q: Tensor, *, value: int, in_time: int, in_sigma: int) -> Tensor:
    """Derivatives `(rows, quantities)` of what a packet of charge `q` adds to a pixel, to its own quantities.

    `local` `(rows, curves, columns)`; the others say which curve is the value, and which its derivatives.
    """
    assert charges.tangents is not None
    by = {
        "charge": local[:, value, 0],
        "x": q * local[:, value, 1],
        "y": q * local[:, value, 2],
        "time": -q * local[:, in_time, 0],
        "sigma_transverse": q * local[:, value, 3],
        "sigma_time": q * local[:, in_sigma, 0],
    }
    moved = [by[name] for name in charges.tangents.quantities]
    return torch.stack(moved, 1) if moved else q.new_zeros(len(q), 0)


def _look_up(charges: PixelCharges, rows: Tensor, time: Tensor) -> Tensor:
    """`(rows, 5, columns)`: C, dC/dt, dC/dsigma_t of each packet, d2C/dt2 and d2C/dt dsigma_t, for each column of the
    weights."""
    table = charges.table
    place = ((time - charges.time.index_select(0, rows)) - table.time_start) / table.time_step
    place = place.clamp(0.0, table.time_cells * (1 - 1e-7))
    cell = place.floor()
    f = (place - cell)[:, None]
    node = charges.node[rows]
    # A time that is no number is in no cell, but must not be looked for outside the table.
    index = cell.long().clamp(0, table.time_cells - 1) * table.sigma_cells + charges.sigma_cell.index_select(0, node)
    coefficients = table.cells.index_select(0, index).view(-1, 16, table.count)
    one, none = torch.ones_like(f), torch.zeros_like(f)
    square = f * f
    step = table.time_step
    powers = [one, f, square, square * f]
    slopes = [none, one / step, f * (2 / step), square * (3 / step)]
    bends = [none, none, one * (2 / step**2), f * (6 / step**2)]
    in_time = torch.cat([*powers, *slopes, *powers, *bends, *slopes], dim=1).view(len(f), 5, 4, 1)
    in_sigma = charges.sigma_powers.index_select(0, node)[:, [0, 0, 1, 0, 1]]
    curves = torch.bmm((in_time * in_sigma[:, :, None, :]).view(len(f), 5, 16), coefficients)
    return torch.bmm(curves, charges.weights.index_select(0, rows).transpose(1, 2))


def segment_sum(values: Tensor, counts: Tensor) -> Tensor:
    """Sums over consecutive runs of rows, in order (the same on any number of threads)."""
    if not len(counts):  # which the reduction has no answer to
        return values.new_zeros(0, *values.shape[1:])
    return torch.segment_reduce(values, "sum", lengths=counts, axis=0)
