"""Quadrature settings of the forward model, by the name that the config uses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Accuracy:
    """How finely the forward model integrates.

    `node_spacing` [cm] between nodes along a deposit; `node_widths`: spacing in transverse diffusion widths where
    that is finer (near the anode), down to `node_floor` [cm]; `intervals` of a half pixel, per axis; `shapes`:
    response shapes kept; `time_step` [us] of the table of responses; `reach`: widths of transverse diffusion that are
    followed.

    `coarse` is for fits that measure what it changes on simulation, two times faster than `default`.
    """

    node_spacing: float
    node_widths: float
    node_floor: float
    intervals: int
    shapes: int
    time_step: float
    reach: float


ACCURACY = {
    "coarse": Accuracy(0.1, 2.0, 0.02, intervals=8, shapes=12, time_step=0.05, reach=3.0),
    "default": Accuracy(0.05, 1.5, 0.01, intervals=8, shapes=12, time_step=0.05, reach=4.0),
    "precise": Accuracy(0.03, 0.75, 0.005, intervals=16, shapes=24, time_step=0.05, reach=5.0),
}
