"""`weights` and `sums` of `tensors` (where the formulas stand) as machine code for processors.

Loops over single packets keep what they work on in registers. Sums have a fixed order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import numba
import numpy as np
import torch
from torch import Tensor

from ..tables import Floats, Ints
from .drift import QUANTITIES
from .response_table import ResponseTable
from .transverse import gaussians_at_knots

if TYPE_CHECKING:
    from .charge import PixelCharges, Runs

#: Packets whose Gaussians are computed at once; few enough to stay in the cache.
_PACKETS_AT_ONCE = 2_048


#: Sums may be split into those of the lanes of the processor; nothing is assumed of values that are not finite.
_HOW: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz"}}


class Compiled:
    """A function as machine code, which is kept for the next time where that is possible.

    It is not where nothing may be written, a disk is full, or what was kept is damaged: then it is compiled every time.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = function
        try:
            self.machine_code = numba.njit(cache=True, **_HOW)(function)
        except RuntimeError:
            self.machine_code = numba.njit(**_HOW)(function)

    def __call__(self, *arguments: object) -> None:
        """Run it."""
        try:
            self.machine_code(*arguments)
        except Exception:  # whatever reading and writing of files raises; anything else will be raised again
            self.machine_code = numba.njit(**_HOW)(self.function)
            self.machine_code(*arguments)


def weights(table: ResponseTable, pitch: float, x: Tensor, y: Tensor, sigma: Tensor, *, derivatives: bool) -> Tensor:
    """As `tensors.weights`."""
    found = x.new_empty(len(x), 4 if derivatives else 1, table.count)
    shapes, step = table.shapes.T.contiguous().numpy(), pitch / 2 / table.intervals
    for a in range(0, len(x), _PACKETS_AT_ONCE):
        part = slice(a, a + _PACKETS_AT_ONCE)
        at, width = torch.stack([x[part], y[part]]), sigma[part]
        below, density = gaussians_at_knots(at, width, pitch, table.intervals)[1:]
        arrays = (v.numpy() for v in (*at, width))
        _fill_weights(*arrays, step, below.numpy(), density.numpy(), shapes, found[part].numpy())
    return found


def sums(charges: PixelCharges, runs: Runs, pixel: Tensor, time: Tensor, orders: int) -> tuple[Tensor, Tensor]:
    """See `PixelCharges.sums`."""
    table, tangents = charges.table, charges.tangents
    count = int(runs.counts(pixel).sum())
    known = () if tangents is None or not orders else tangents.quantities
    of_nodes = time.new_empty(0, 0, 0) if tangents is None else tangents.values
    values, slopes = time.new_empty(count, 2), time.new_empty(count, orders, of_nodes.shape[2])
    _fill_sums(
        *(v.contiguous().numpy() for v in (pixel, time, runs.first, runs.packet, charges.charge, charges.time)),
        *(v.contiguous().numpy() for v in (charges.weights, charges.node, charges.sigma_cell, charges.sigma_powers)),
        table.cells.view(-1, 16, table.count).numpy(),
        table.sigma_cells,
        table.time_start,
        table.time_step,
        np.array([QUANTITIES.index(name) for name in known], dtype=np.int64),
        of_nodes.contiguous().numpy(),
        values.numpy(),
        slopes.numpy(),
    )
    return values, slopes


def _within(function: Callable[..., None]) -> Callable[..., None]:
    """A function that others contain when they are compiled."""
    return cast(Callable[..., None], numba.njit(**_HOW)(function))


@_within
def _axis(offset: float, sigma: float, step: float, below: Floats, density: Floats, folded: Floats) -> None:
    """Fills `folded` `(3, intervals + 1)`: `AxisWeights.value`, `by_offset` and `by_sigma` of one cloud."""
    intervals = len(below) // 2
    folded[:] = 0.0
    per_step, per_sigma = 1 / step, sigma / step
    for i in range(2 * intervals):
        lower, upper = abs(i - intervals), abs(i + 1 - intervals)
        inside = below[i + 1] - below[i]
        rise = per_sigma * (density[i + 1] - density[i])
        slope = inside * per_step
        moment = (offset * per_step - (i - intervals)) * inside - sigma * rise
        folded[0, lower] += inside - moment
        folded[0, upper] += moment
        folded[1, lower] -= slope
        folded[1, upper] += slope
        folded[2, lower] += rise
        folded[2, upper] -= rise
    edge = intervals * step
    folded[1, intervals] += density[0] - density[-1]
    folded[2, intervals] -= ((edge + offset) * density[0] + (edge - offset) * density[-1]) / sigma


@Compiled
def _fill_weights(
    x: Floats, y: Floats, sigma: Floats, step: float, below: Floats, density: Floats, shapes: Floats, weights: Floats
) -> None:
    """Fills `weights` `(n, 1 or 4, K)`: W of clouds at `x`, `y` `(n,)` [cm] of width `sigma`, and dW/dx, dW/dy,
    dW/dsigma.

    `below`, `density` `(2, n, 2 intervals + 1)`: the Gaussian's integral and density at knots `step` apart, along x
    and y; `shapes` `(K, (intervals + 1)^2)`: `ResponseTable.shapes`.
    """
    tents = below.shape[2] // 2 + 1
    along_x, along_y = np.empty((3, tents), dtype=x.dtype), np.empty((3, tents), dtype=x.dtype)
    products = np.empty((4, shapes.shape[1]), dtype=x.dtype)
    for n in range(len(x)):
        _axis(x[n], sigma[n], step, below[0, n], density[0, n], along_x)
        _axis(y[n], sigma[n], step, below[1, n], density[1, n], along_y)
        for i in range(tents):
            for j in range(tents):
                pair = i * tents + j
                products[0, pair] = along_x[0, i] * along_y[0, j]
                products[1, pair] = along_x[1, i] * along_y[0, j]
                products[2, pair] = along_x[0, i] * along_y[1, j]
                products[3, pair] = along_x[2, i] * along_y[0, j] + along_x[0, i] * along_y[2, j]
        # The same sum with and without derivatives.
        for k in range(len(shapes)):
            value = 0.0
            for pair in range(tents * tents):
                value += shapes[k, pair] * products[0, pair]
            weights[n, 0, k] = value
        if weights.shape[1] == 1:
            continue
        # Two shapes at once, or the processor would wait for each sum.
        for k in range(0, len(shapes), 2):
            other = min(k + 1, len(shapes) - 1)
            a1, a2, a3, b1, b2, b3 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for pair in range(tents * tents):
                a, b = shapes[k, pair], shapes[other, pair]
                a1 += a * products[1, pair]
                a2 += a * products[2, pair]
                a3 += a * products[3, pair]
                b1 += b * products[1, pair]
                b2 += b * products[2, pair]
                b3 += b * products[3, pair]
            weights[n, 1, k], weights[n, 2, k], weights[n, 3, k] = a1, a2, a3
            weights[n, 1, other], weights[n, 2, other], weights[n, 3, other] = b1, b2, b3


@Compiled
def _fill_sums(
    pixel: Ints,
    time: Floats,
    first_run: Ints,
    first_packet: Ints,
    charge: Floats,
    arrival: Floats,
    weights: Floats,
    node: Ints,
    sigma_cell: Ints,
    sigma_powers: Floats,
    cells: Floats,
    sigma_cells: int,
    start: float,
    step: float,
    quantities: Ints,
    tangents: Floats,
    values: Floats,
    slopes: Floats,
) -> None:
    """Fills `values` `(m, 2)`, charge [electrons] and current [electrons/us] of each run of packets at the `time`
    `(r,)` for which each `pixel` `(r,)` is asked, and the derivatives `slopes` `(m, orders, P)` of the first `orders`.

    Runs of a pixel are those from `first_run` `(pixels + 1,)`, packets of a run those from `first_packet` `(runs +
    1,)`. Packets `(n,)` as in `charge.PixelCharges`; `weights` as `_fill_weights` fills them. `cells` `(cells, 16, K)`:
    `ResponseTable.cells`, which begin at `start` and are `step` [us] long. `tangents` `(nodes, q, P)` of the
    `quantities` `(q,)`, numbers in `drift.QUANTITIES`.
    """
    most = len(cells) // sigma_cells * (1 - 1e-7)
    in_x, in_y, in_sigma = (1, 2, 3) if weights.shape[1] == 4 else (0, 0, 0)
    moved = np.zeros((2, 6), dtype=charge.dtype)
    at = 0
    for r in range(len(pixel)):
        for run in range(first_run[pixel[r]], first_run[pixel[r] + 1]):
            total, flow = 0.0, 0.0
            slopes[at] = 0.0
            for n in range(first_packet[run], first_packet[run + 1]):
                place = min((time[r] - arrival[n] - start) / step, most)
                if place < 0.0:
                    place = 0.0
                # A time that is no number is in no cell, but must not be looked for outside the table.
                cell = int(place) if place > 0.0 else 0
                f = place - cell
                i = node[n]
                c = cells[cell * sigma_cells + sigma_cell[i]]
                _, g1, g2, g3 = sigma_powers[i, 0]
                _, h1, h2, h3 = sigma_powers[i, 1]
                # C, and by its derivatives: t time, s sigma_t, x, y, w the transverse width.
                v, v_t, v_s, v_x, v_y, v_w = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
                v_tt, v_ts, v_tx, v_ty, v_tw = 0.0, 0.0, 0.0, 0.0, 0.0
                for k in range(weights.shape[2]):
                    # Powers of f, and the same for d/d sigma.
                    a0 = c[0, k] + g1 * c[1, k] + g2 * c[2, k] + g3 * c[3, k]
                    a1 = c[4, k] + g1 * c[5, k] + g2 * c[6, k] + g3 * c[7, k]
                    a2 = c[8, k] + g1 * c[9, k] + g2 * c[10, k] + g3 * c[11, k]
                    a3 = c[12, k] + g1 * c[13, k] + g2 * c[14, k] + g3 * c[15, k]
                    b0 = h1 * c[1, k] + h2 * c[2, k] + h3 * c[3, k]
                    b1 = h1 * c[5, k] + h2 * c[6, k] + h3 * c[7, k]
                    b2 = h1 * c[9, k] + h2 * c[10, k] + h3 * c[11, k]
                    b3 = h1 * c[13, k] + h2 * c[14, k] + h3 * c[15, k]
                    curve = a0 + f * (a1 + f * (a2 + f * a3))
                    rise = a1 + f * (2 * a2 + 3 * f * a3)
                    weight = weights[n, 0, k]
                    v += weight * curve
                    v_t += weight * rise
                    v_s += weight * (b0 + f * (b1 + f * (b2 + f * b3)))
                    v_tt += weight * (2 * a2 + 6 * f * a3)
                    v_ts += weight * (b1 + f * (2 * b2 + 3 * f * b3))
                    v_x += weights[n, in_x, k] * curve
                    v_tx += weights[n, in_x, k] * rise
                    v_y += weights[n, in_y, k] * curve
                    v_ty += weights[n, in_y, k] * rise
                    v_w += weights[n, in_sigma, k] * curve
                    v_tw += weights[n, in_sigma, k] * rise
                q = charge[n]
                total += q * v
                flow += q * v_t / step
                # In the order of QUANTITIES.
                moved[0, 0], moved[1, 0] = v, v_t / step
                moved[0, 1], moved[1, 1] = q * v_x, q * v_tx / step
                moved[0, 2], moved[1, 2] = q * v_y, q * v_ty / step
                moved[0, 3], moved[1, 3] = -q * v_t / step, -q * v_tt / step**2
                moved[0, 4], moved[1, 4] = q * v_w, q * v_tw / step
                moved[0, 5], moved[1, 5] = q * v_s, q * v_ts / step
                for order in range(slopes.shape[1]):
                    for j in range(len(quantities)):
                        by = moved[order, quantities[j]]
                        for p in range(slopes.shape[2]):
                            slopes[at, order, p] += by * tangents[i, j, p]
            values[at, 0], values[at, 1] = total, flow
            at += 1
