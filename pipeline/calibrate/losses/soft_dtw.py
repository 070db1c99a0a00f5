"""Soft dynamic time warping of the sequences of hits: the loss of arXiv:2309.04639."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from ...config.methods import Loss
from .event_hits import EventHits


def soft_dtw(model: EventHits, data: EventHits, settings: Loss) -> Tensor:
    """Soft-DTW (Cuturi and Blondel, ICML 2017, arXiv:1703.01541) of ADC counts and of times [us], weighted, in the
    order of the hits (x, then y, then time), with absolute differences.

    It aligns sequences of different lengths, and its gradient has a value however many hits appear or vanish, but it
    is not exactly zero where they agree: neighbours within `settings.gamma` of each other pull as well.
    """
    total = torch.zeros((), dtype=torch.float64)
    if settings.adc_weight:
        total = total + settings.adc_weight * _of_sequences(settings.gamma, model.adc, data.adc)
    if settings.time_weight:
        total = total + settings.time_weight * _of_sequences(settings.gamma, model.t, data.t)
    return total


def _of_sequences(gamma: float, one: Tensor, other: Tensor) -> Tensor:
    warping = _warping(gamma)
    _one_thread()
    found: Tensor = warping(one[None, :, None], other[None, :, None])[0]
    return found


def _one_thread() -> None:
    """Keep tslearn from spreading a batch of one pair over threads: waking them takes longer than all the rest."""
    import numba

    numba.set_num_threads(1)


@cache
def _warping(gamma: float) -> Any:
    # Loading it takes a second, and its first use some seconds of compilation.
    from tslearn.metrics import SoftDTWLossPyTorch

    return SoftDTWLossPyTorch(gamma=gamma, dist_func=_absolute_differences)


def _absolute_differences(one: Tensor, other: Tensor) -> Tensor:
    """`(b, m, n)` from `(b, m, 1)` and `(b, n, 1)`."""
    return (one - other.transpose(1, 2)).abs()
