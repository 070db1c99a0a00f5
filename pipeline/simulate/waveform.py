"""Coarse waveforms of pixels on a clock grid: where to look for a crossing, never what is reported."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..errors import MemoryLimitError
from .charge import PixelCharges
from .response_table import ResponseTable
from .tensors import segment_sum

#: Shapes used in the search; the exact charge decides afterwards.
SEARCH_SHAPES = 12
_SHORTEST = 128
#: Longest window [ticks]; deposits a second apart (radioactive decays) would need as much memory.
_LONGEST = 2**17
#: Pixels times ticks searched at once; bounds the memory of the search.
TICKS_AT_ONCE = 2**17
#: Coarse waveforms are trusted to this much [electrons]; nearer to a level the exact charge decides.
TRUSTED = 600.0


@dataclass(frozen=True)
class Waveforms:
    """Cumulative charge `(pixels, ticks)` of `pixel` `(pixels,)` at `start + i * step` [us]."""

    pixel: Tensor
    start: Tensor
    step: float
    charge: Tensor


def windows(
    charges: PixelCharges, total: Tensor, threshold: Tensor, step: float, phase: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Start [us] and number of ticks of the time in which each pixel can cross its threshold `(pixels,)`.

    The charge by a time is at most the total times the envelope of the response at the earliest packet. With `phase`
    `(pixels,)` [us] windows start at whole steps of a clock that was there this long before time 0 of each pixel.
    """
    counts = charges.first.diff()
    table = charges.table
    earliest = torch.segment_reduce(charges.time, "min", lengths=counts)
    latest = torch.segment_reduce(charges.time, "max", lengths=counts)
    widest = torch.segment_reduce(charges.sigma_time, "max", lengths=counts)
    needed = (0.5 * threshold / torch.maximum(total, threshold)).double().cpu().numpy()
    first = table.kernel_time[np.minimum(np.searchsorted(table.envelope, needed), len(table.kernel_time) - 1)]
    # Never after the first arrival, for the search follows the charge from its arrival on.
    before = torch.as_tensor(np.minimum(first, 0.0), dtype=total.dtype, device=total.device)
    start = earliest + before - 5 * widest - step
    if phase is not None:
        start = ((start + phase) / step).floor() * step - phase
    end = latest + table.late + 5 * widest + 2 * step
    ticks = ((end - start) / step).ceil().long()
    if int(ticks.max()) > _LONGEST:
        raise MemoryLimitError(
            f"deposits on one pixel are spread over {float(ticks.max()) * step / 1000:.3g} ms, more than the "
            f"{_LONGEST * step / 1000:.3g} ms that are followed; drop late deposits with select.max_delay_us."
        )
    return start, ticks


def coarse_waveforms(charges: PixelCharges, pixel: Tensor, start: Tensor, ticks: int, step: float) -> Waveforms:
    """Waveforms of `pixel` from `start` [us], by Fourier transform.

    Packets are shared between the two nearest ticks; the spread of arrival times is the pixel's mean.
    """
    rows, counts = charges.packets_of(pixel), charges.first.diff()[pixel]
    number = torch.repeat_interleave(torch.arange(len(pixel), device=pixel.device), counts)
    q = charges.charge[rows]
    shapes = min(SEARCH_SHAPES, charges.table.count)
    deposit = q[:, None] * charges.weights[rows, 0, :shapes]
    place = ((charges.time[rows] - start[number]) / step).clamp(0, ticks - 2)
    tick = place.floor()
    upper = (place - tick)[:, None]
    index = number * ticks + tick.long()
    arrivals = torch.zeros(pixel.shape[0] * ticks, shapes, dtype=q.dtype, device=q.device)
    arrivals.index_add_(0, index, deposit * (1 - upper))
    arrivals.index_add_(0, index + 1, deposit * upper)
    spectrum = torch.fft.rfft(arrivals.view(-1, ticks, shapes).transpose(1, 2), n=2 * ticks)
    kernel = _kernel(charges.table, ticks, step, shapes, q.dtype, q.device)
    variance = segment_sum(q * charges.sigma_time[rows] ** 2, counts) / segment_sum(q, counts).clamp(min=1e-30)
    frequency = torch.fft.rfftfreq(2 * ticks, d=step, device=q.device, dtype=q.dtype) * (2 * torch.pi)
    smear = torch.exp(-0.5 * variance[:, None] * frequency**2)
    charge = torch.fft.irfft((spectrum * kernel).sum(dim=1) * smear, n=2 * ticks)[:, :ticks]
    return Waveforms(pixel, start, step, charge)


@lru_cache(maxsize=64)
def _kernel(
    table: ResponseTable, ticks: int, step: float, shapes: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Spectrum of the shapes' curves on lags -ticks ... ticks - 1."""
    lags = np.fft.fftfreq(2 * ticks, d=1.0 / (2 * ticks)) * step
    curves = np.stack([np.interp(lags, table.kernel_time, c) for c in table.kernel[:shapes]])
    spectrum: Tensor = torch.fft.rfft(torch.as_tensor(curves, dtype=dtype, device=device))
    return spectrum


def batches(ticks: Tensor, candidates: Tensor) -> list[list[tuple[int, Tensor]]]:
    """Pixels among `candidates` (numbers) by the power of two that holds their window, in batches of bounded memory."""
    size = torch.exp2(ticks[candidates].clamp(min=_SHORTEST).double().log2().ceil()).long()
    found: list[list[tuple[int, Tensor]]] = []
    room = 0
    for s in torch.unique(size).tolist():
        for pixels in torch.split(candidates[size == s], max(1, TICKS_AT_ONCE // s)):
            if s * len(pixels) > room:
                found.append([])
                room = TICKS_AT_ONCE
            found[-1].append((s, pixels))
            room -= s * len(pixels)
    return found
