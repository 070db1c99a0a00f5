"""What becomes of a discrete operation when it is relaxed, and when it is done exactly.

Codes that sum charge on a clock grid meet three discrete operations: a cut (charge before or after a clock edge), an
integer index (the tick in which charge arrives, the tick in which integration ends) and the first tick above a
threshold. Relaxed, they are a sigmoid, an interpolation between two ticks, and an interpolated crossing time
(arXiv:2309.04639). Here nothing is relaxed: diffusion makes the charge a smooth function of time, and the crossing is
solved for, with the derivative that the implicit function theorem gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from .. import parameters
from ..config.models import Config
from ..detector import argon
from ..detector.geometry import DetectorGeometry
from ..errors import SelectionError
from ..simulate.charge import PixelCharges
from ..simulate.model import ForwardModel
from ..simulate.setup import model_settings
from ..storage.pixels import load_pixels
from ..tables import Floats, Segments

#: Widths [us] of the sigmoids that stand for a step.
SIGMOID_WIDTHS = (0.05, 0.1, 0.2)
#: Drift distances [cm] whose diffusion is the exact smooth step.
DISTANCES = (2.0, 15.0, 30.0)
#: Drift distance [cm] and dE/dx [MeV/cm] of the made-up track: a minimum-ionising particle.
TRACK_DISTANCE = 15.0
TRACK_DEDX = 2.1
#: Ranges of the parameters that are varied: a narrow one for the field, or the clock ticks could not be seen.
RANGES = {"electric_field": (0.4975, 0.5025), "longitudinal_diffusion": (2e-6, 9e-6)}
POINTS = 201
TANGENTS = 5


def run(
    config: Config, segments: Segments | None, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """A step and its relaxations, and one hit of one pixel as a function of a parameter, in three ways.

    `segments` is not used: the track is made up, so that the figure does not depend on a sample.
    """
    progress("a step and its relaxations")
    settings = replace(model_settings(config), dtype=torch.float64)
    pixels = load_pixels(config.readout.pixels, geometry)
    model = ForwardModel(made_up_track(geometry), geometry, settings, pixels)
    curves = {}
    for name in RANGES:
        progress(f"one hit against {name}")
        curves[name] = hit_curves(model, name)
    return {"step": step_curves(geometry), "hit": curves, "track": {"distance_cm": TRACK_DISTANCE, "dedx": TRACK_DEDX}}


def table(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    lines = ["largest difference of one hit from the exact one, over the range of the parameter:"]
    lines.append(f"{'parameter':<24}{'way':<12}{'time [us]':>12}{'charge [ADC]':>14}{'distinct times':>16}")
    for name, curves in result["hit"].items():
        for way in ("ticks", "interpolated"):
            apart = [np.abs(np.subtract(curves[way][key], curves["exact"][key])).max() for key in ("time", "adc")]
            distinct = len(set(curves[way]["time"]))
            lines.append(f"{name:<24}{way:<12}{apart[0]:>12.4f}{apart[1]:>14.3f}{distinct:>16}")
    return "\n".join(lines)


def made_up_track(geometry: DetectorGeometry) -> Segments:
    """A straight track of 4 cm in steps of 1 cm, slanted to the rows of pixels and to the first anode, so that charge
    reaches a pixel for longer than the hold."""
    tpc = geometry.tpcs[0]
    z = tpc.z_anode + math.copysign(TRACK_DISTANCE, tpc.z_cathode - tpc.z_anode)
    middle = np.array([sum(geometry.x_range) / 2, sum(geometry.y_range) / 2, z])
    direction = np.array([0.7, 0.3, 0.65])
    direction /= np.linalg.norm(direction)
    edges = middle + direction * (np.arange(5.0)[:, None] - 2.0)
    zero, whole, one = np.zeros(4), np.zeros(4, dtype=np.int64), np.ones(4)
    return Segments(
        event_id=whole, vertex_id=whole, segment_id=np.arange(4), traj_id=whole, pdg_id=whole + 13,
        start=edges[:-1], end=edges[1:], t0=zero, t0_start=zero, t0_end=zero,
        dE=TRACK_DEDX * one, dx=one, dEdx=TRACK_DEDX * one,
    )  # fmt: skip


def step_curves(geometry: DetectorGeometry) -> dict[str, Any]:
    """Share of a packet's charge before a clock edge, against the time [us] from its arrival to the edge, and its
    slope [1/us].

    Hard step; sigmoids `1 / (1 + exp(-t / width))`; and the Gaussian integral of longitudinal diffusion, which is what
    physics makes of the step.
    """
    time = np.round(np.linspace(-0.8, 0.8, 321), 6)
    curves: dict[str, Any] = {"time": time.tolist(), "hard": np.where(time >= 0, 1.0, 0.0).tolist()}
    curves["sigmoid"] = [
        {
            "width": w,
            "value": (1 / (1 + np.exp(-time / w))).tolist(),
            "slope": (1 / (4 * w * np.cosh(time / 2 / w) ** 2)).tolist(),
        }
        for w in SIGMOID_WIDTHS
    ]
    curves["exact"] = []
    for distance in DISTANCES:
        width = diffusion_width(distance, geometry)
        value = [0.5 * math.erfc(-t / width / math.sqrt(2)) for t in time]
        slope = np.exp(-0.5 * (time / width) ** 2) / (width * math.sqrt(2 * math.pi))
        curves["exact"].append({"distance_cm": distance, "width": width, "value": value, "slope": slope.tolist()})
    return curves


def diffusion_width(distance: float, geometry: DetectorGeometry) -> float:
    """Width [us] of the arrival times of charge that has drifted `distance` [cm], at the nominal parameters."""
    nominal = parameters.nominal_values()
    velocity = argon.drift_velocity(nominal["electric_field"], geometry.temperature)
    return math.sqrt(2 * nominal["longitudinal_diffusion"] * distance / velocity) / velocity


def hit_curves(model: ForwardModel, name: str) -> dict[str, Any]:
    """Time [us] and ADC of the first hit of the track's fullest pixel against the parameter `name`: on clock ticks,
    interpolated, and exact, with the derivatives of the exact one at some points.
    """
    low, high = RANGES[name]
    values = np.linspace(low, high, POINTS)
    pixel = _fullest_pixel(model)
    channel = model.plan({}).channel[pixel : pixel + 1]
    threshold = float(model.pixels.of(channel)[0][0])
    ways: dict[str, Any] = {
        "ticks": [_on_ticks(_charges(model, pixel, name, v), model.geometry, threshold) for v in values],
        "interpolated": [_interpolated(_charges(model, pixel, name, v), model.geometry, threshold) for v in values],
        "exact": [_exact(model, pixel, name, v)[:2] for v in values],
    }
    reference = model.plan({}).time[pixel]
    found: dict[str, Any] = {"values": values.tolist()}
    for way, rows in ways.items():
        time, charge = np.array(rows).T
        found[way] = {
            "time": (time + (0.0 if way == "exact" else reference)).tolist(),
            "adc": model.pixels.adc(charge, channel).tolist(),
        }
    slope = float(model.pixels.counts_per_electron(channel)[0])
    found["tangents"] = []
    for v in np.linspace(low, high, TANGENTS + 2)[1:-1]:
        time, charge, by_time, by_charge = _exact(model, pixel, name, v)
        adc = float(model.pixels.adc(np.array([charge]), channel)[0])
        found["tangents"].append(
            {"value": float(v), "time": time, "adc": adc, "time_slope": by_time, "adc_slope": by_charge * slope}
        )
    return found


def _fullest_pixel(model: ForwardModel) -> int:
    """Number in the plan of the pixel with the most charge, among those with a hit at both ends of every range.

    Raises `SelectionError` where the detector sees no such hit.
    """
    plan = model.plan({})
    always: set[int] | None = None
    for name, ends in RANGES.items():
        for value in ends:
            hit = set(model.hits({name: value}).channel.tolist())
            always = hit if always is None else always & hit
    rows = [i for i, channel in enumerate(plan.channel.tolist()) if channel in (always or ())]
    if not rows:
        raise SelectionError(f"relaxations: {model.geometry.name} sees no hit of a minimum-ionising track.")
    totals = model.pixel_charges({}, (0, len(plan.channel))).total()
    return max(rows, key=lambda i: float(totals[i]))


def _charges(model: ForwardModel, pixel: int, name: str, value: float) -> PixelCharges:
    return model.pixel_charges({name: float(value)}, (pixel, pixel + 1))


def _exact(model: ForwardModel, pixel: int, name: str, value: float) -> tuple[float, float, float, float]:
    """Time and charge of the pixel's first hit, and their derivatives to the parameter."""
    hits = model.hits_with_derivatives({name: float(value)}, (name,))
    row = int(np.flatnonzero((hits.channel == model.plan({}).channel[pixel]) & (hits.order == 0))[0])
    assert hits.d_time is not None and hits.d_charge is not None
    return float(hits.time[row]), float(hits.charge[row]), float(hits.d_time[row, 0]), float(hits.d_charge[row, 0])


def _grid(charges: PixelCharges, geometry: DetectorGeometry) -> tuple[int, int]:
    """First and last clock tick that the charge of a pixel needs."""
    clock = geometry.readout.clock
    spread = 6 * float(charges.sigma_time.max())
    early = float(charges.time.min()) - spread
    late = float(charges.time.max()) + charges.table.late + spread + geometry.readout.hold
    return math.floor(early / clock), math.ceil(late / clock) + 1


def _on_grid(charges: PixelCharges, first: int, last: int, clock: float) -> Floats:
    """Charge [electrons] of one pixel at the clock ticks `first` ... `last`."""
    ticks = torch.arange(first, last + 1, dtype=torch.float64) * clock
    charge, _ = charges.evaluate(torch.zeros(len(ticks), dtype=torch.int64), ticks)
    return np.asarray(charge.cpu().numpy(), dtype=np.float64)


def _on_ticks(charges: PixelCharges, geometry: DetectorGeometry, threshold: float) -> tuple[float, float]:
    """The first hit with whole indices: charge arrives in whole ticks, the first tick above the threshold is the time,
    and the sum runs for the whole number of ticks of the hold."""
    clock, readout = geometry.readout.clock, geometry.readout
    first, last = _grid(charges, geometry)
    wave = _on_grid(replace(charges, time=(charges.time / clock).floor() * clock), first, last, clock)
    k = int(np.argmax(wave >= threshold))
    return (first + k) * clock, float(wave[k + round(readout.hold / clock)])


def _interpolated(charges: PixelCharges, geometry: DetectorGeometry, threshold: float) -> tuple[float, float]:
    """The first hit with relaxed indices: charge is shared between the two ticks around its arrival, and threshold
    crossing and end of the hold are interpolated between ticks."""
    clock, readout = geometry.readout.clock, geometry.readout
    first, last = _grid(charges, geometry)
    place = charges.time / clock
    tick = place.floor()
    upper = place - tick
    below = replace(charges, time=tick * clock, charge=charges.charge * (1 - upper))
    above = replace(charges, time=(tick + 1) * clock, charge=charges.charge * upper)
    wave = _on_grid(below, first, last, clock) + _on_grid(above, first, last, clock)
    k = int(np.argmax(wave >= threshold))
    crossing = k - 1 + (threshold - wave[k - 1]) / (wave[k] - wave[k - 1])
    end = np.interp(crossing + readout.hold / clock, np.arange(len(wave)), wave)
    return (first + crossing) * clock, float(end)
