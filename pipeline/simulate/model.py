"""The forward model: parameters in, hits and their derivatives out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from .. import parameters
from ..detector import argon
from ..detector.geometry import DetectorGeometry, ReadoutConstants
from ..detector.pixels import PixelConstants
from ..errors import MemoryLimitError, ModelRangeError
from ..tables import Floats, Ints, Segments
from .accuracy import ACCURACY
from .charge import PixelCharges, Places, pixel_charges
from .comparator import Comparator
from .drift import Deposits, packets, packets_with_derivatives
from .noise import Noise, NoiseLevels
from .plan import Plan, Reach, build_plan
from .readout import PixelHits, Trigger, differentiate, read_out
from .response_table import SIGMA_RANGE, response_table
from .tensors import ROWS_AT_ONCE
from .waveform import SEARCH_SHAPES, TICKS_AT_ONCE

T = TypeVar("T")

#: A plan holds this much more transverse width than the largest of the parameter table, then grows in such steps.
_REACH_STEP = 1.15
#: Memory [MiB] that freed arrays leave with the allocator (measured; it hardly depends on the work).
_ALLOCATOR_MIB = 50.0
#: Shifts are allowed for in such steps [cm].
_SHIFT_STEP = 0.1


@dataclass(frozen=True)
class ModelSettings:
    """How the forward model is computed; the meaning of each is that of the config's `simulate` and `detector`.

    `noise` is what a likelihood assumes; drawing noise takes its own.
    """

    recombination: str = "birks"
    response: str = "parametrised"
    accuracy: str = "default"
    dtype: torch.dtype = torch.float64
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    block_pairs: int = 16384
    threads: int = 2
    memory_limit_mib: float = 512.0
    noise: NoiseLevels | None = None


@dataclass(frozen=True)
class SimulatedHits:
    """Hits of a whole sample, sorted by event and channel and order, float64 NumPy arrays `(h,)`.

    `time` [us] after the event's earliest deposit; `charge` [electrons] and the real-valued `adc` counts of it. Where
    they were asked for, `d_charge`, `d_adc`, `d_time` `(h, P + 1)` are the derivatives to the parameters `names` and,
    last, to the threshold [per electron].
    """

    event: Ints
    channel: Ints
    order: Ints
    time: Floats
    charge: Floats
    adc: Floats
    names: tuple[str, ...] = ()
    d_charge: Floats | None = None
    d_adc: Floats | None = None
    d_time: Floats | None = None

    def recorded(self, readout: ReadoutConstants, *, integer: bool) -> tuple[Floats, Floats]:
        """ADC counts and times [us] as a file holds them.

        With `integer`, counts are rounded to whole ones 0 ... adc_counts - 1, and times to the whole clock ticks in
        which they fall.
        """
        if not integer:
            return self.adc, self.time
        # A time on a clock tick is that tick, on whichever side rounding left it.
        time = np.floor(self.time / readout.clock + 1e-6) * readout.clock
        return np.clip(np.floor(self.adc + 0.5), 0, readout.adc_counts - 1), time


class ForwardModel:
    """Hits of fixed deposits in a fixed detector as a function of the parameters.

    The pairing of deposits and pixels is kept while the parameters ask for the same reach: transverse diffusion within
    the table ranges and no shift, or a step beyond. Without `pixels` all pixels have the constants of the detector.
    """

    def __init__(
        self,
        segments: Segments,
        geometry: DetectorGeometry,
        settings: ModelSettings,
        pixels: PixelConstants | None = None,
    ) -> None:
        self.segments = segments
        self.geometry = geometry
        self.settings = settings
        self.pixels = PixelConstants.nominal(geometry) if pixels is None else pixels
        self.accuracy = ACCURACY[settings.accuracy]
        self.table = response_table(
            settings.response, geometry.pixel_pitch, self.accuracy, settings.dtype, settings.device
        )
        self._plan: Plan | None = None
        self._energy = self.tensor(segments.dE)
        self._dedx = self.tensor(segments.dEdx)

    def __reduce__(self) -> tuple[type[ForwardModel], tuple[Any, ...]]:
        """Copies in other processes have the tables of their process, and make plans of their own."""
        return ForwardModel, (self.segments, self.geometry, self.settings, self.pixels)

    def with_segments(self, segments: Segments) -> ForwardModel:
        """The model of other segments."""
        return ForwardModel(segments, self.geometry, self.settings, self.pixels)

    def on_processor(self) -> ForwardModel:
        """The same model on the processor, whatever device it is on."""
        settings = replace(self.settings, device=torch.device("cpu"))
        return self if settings == self.settings else ForwardModel(self.segments, self.geometry, settings, self.pixels)

    def plan(self, values: Mapping[str, float]) -> Plan:
        """The pairing of deposits and pixels, wide enough for these parameter values (others nominal).

        Raises `ModelRangeError` as `hits` does: beyond its range a pairing could fill any memory.
        """
        reach = self._reach(self.complete(values))
        if self._plan is None or self._plan.reach != reach:
            nominal = _width(parameters.nominal_values(), self.geometry.temperature)
            plan = build_plan(
                self.segments, self.geometry, self.accuracy, reach,
                nominal_width=nominal, block_pairs=self.settings.block_pairs,
            )  # fmt: skip
            self._check_memory(plan)
            self._plan = plan
        return self._plan

    def _reach(self, values: Mapping[str, float]) -> Reach:
        """The reach for parameter values, in coarse steps: of these values alone, so that results do not depend on
        the points that were simulated before.
        """
        table = parameters.table()
        extreme = {
            "transverse_diffusion": table["transverse_diffusion"].high,
            "electric_field": table["electric_field"].low,
            # Its range lies far within a step.
            "drift_velocity_scale": table["drift_velocity_scale"].nominal,
        }
        limit = _width({**values, **extreme}, self.geometry.temperature) * _REACH_STEP
        while limit < _width(values, self.geometry.temperature):
            limit *= _REACH_STEP
        shift = max(abs(values["shift_x"]), abs(values["shift_y"]))
        depth = max(values["shift_z"], 0.0)
        return Reach(limit, *(math.ceil(s / _SHIFT_STEP) * _SHIFT_STEP for s in (shift, depth)))

    def hits(
        self,
        values: Mapping[str, float],
        noise: Noise | None = None,
        progress: Callable[[int], None] = lambda blocks: None,
    ) -> SimulatedHits:
        """Simulate at the parameter values (others nominal).

        `progress(1)` is called after each block of `plan(values).blocks`.
        Raises `ModelRangeError` where the values lie outside what the model can compute.
        """
        values = self.complete(values)
        plan = self.plan(values)

        def run(block: tuple[int, int]) -> tuple[Tensor, ...]:
            hits = read_out(self.charges(plan, block, values, ()), self._trigger(plan, block, noise))
            return _as_columns(hits, block)

        return self._collect(plan, self.map_blocks(run, plan.blocks, progress), ())

    def hits_with_derivatives(self, values: Mapping[str, float], names: tuple[str, ...]) -> SimulatedHits:
        """As `hits`, noiseless, with exact derivatives to the parameters `names`."""
        values = self.complete(values)
        plan = self.plan(values)

        def run(block: tuple[int, int]) -> tuple[Tensor, ...]:
            charges = self.charges(plan, block, values, names)
            trigger = self._trigger(plan, block, None)
            hits = read_out(charges, trigger)
            return (*_as_columns(hits, block), *differentiate(charges, hits, trigger))

        return self._collect(plan, self.map_blocks(run, plan.blocks), names)

    def totals(self, values: Mapping[str, float]) -> Floats:
        """`(pixels,)` charge [electrons] that each pixel of `plan(values)` collects in the end, without noise.

        Raises `ModelRangeError` as `hits` does.
        """
        values = self.complete(values)
        plan = self.plan(values)
        parts = self.map_blocks(lambda block: self.charges(plan, block, values, ()).total(), plan.blocks)
        return np.concatenate([np.zeros(0), *(part.cpu().numpy().astype(np.float64) for part in parts)])

    def pixel_charges(self, values: Mapping[str, float], pixels: tuple[int, int]) -> PixelCharges:
        """The charge of a range of pixels of `plan(values)` as a function of time."""
        values = self.complete(values)
        return self.charges(self.plan(values), pixels, values, ())

    def estimate_mib(self, plan: Plan) -> float:
        """Estimated peak memory [MiB] of the work on a plan, apart from the program itself.

        Per worker: the packets of the largest block with weights, derivatives and automatic differentiation, the rows
        of one look-up where these are in tensors, and the search for crossings; plus the plan and the tables. It
        depends on numbers of pairs, not on the angle of the tracks.
        """
        item = torch.finfo(self.settings.dtype).bits // 8
        shapes = self.table.count
        block, largest_pixel = plan.largest_block, int(np.diff(plan.first).max(initial=0))
        # Weights with derivatives, quantities, tangents and the graph of their differentiation.
        per_packet = 4 * shapes + 60 + 8 * len(parameters.table()) + 4 * shapes
        per_row = 16 * shapes + 3 * 48 + 8 * shapes
        # Compiled sums need no room for their terms.
        rows = 0 if self.settings.device.type == "cpu" else min(max(ROWS_AT_ONCE, largest_pixel), 20 * block)
        workers = max(1, min(self.settings.threads, len(plan.blocks)))
        # Arrivals by shape, their spectra, what transforming these needs, and the waveforms.
        search = TICKS_AT_ONCE * (10 * min(SEARCH_SHAPES, shapes) + 8)
        working = workers * item * (block * per_packet + rows * per_row + search)
        kept = 28 * len(plan.node) + 40 * len(plan.event) + self.table.cells.numel() * item
        return (working + kept) / 2**20 + _ALLOCATOR_MIB

    def _check_memory(self, plan: Plan) -> None:
        needed = self.estimate_mib(plan)
        if needed > self.settings.memory_limit_mib:
            raise MemoryLimitError(
                f"simulating {self.segments.length.sum():.0f} cm of track needs about {needed:.0f} MiB, more than "
                f"simulate.memory_limit_mib = {self.settings.memory_limit_mib:g}; raise it, lower simulate.block_pairs "
                f"or simulate.threads, or select less."
            )

    def complete(self, values: Mapping[str, float]) -> dict[str, float]:
        """The values with nominal ones for all other parameters; raises `ModelRangeError` as `hits` does."""
        full = {**parameters.nominal_values(), **values}
        parameters.check_values(full, "forward model")
        table = parameters.table()
        velocity = argon.scaled_drift_velocity(full, self.geometry.temperature)
        drift = max(t.drift_length for t in self.geometry.tpcs)
        spread = math.sqrt(2 * full["longitudinal_diffusion"] * drift / velocity) / velocity
        if spread > SIGMA_RANGE[1]:
            raise ModelRangeError(
                f"longitudinal_diffusion = {full['longitudinal_diffusion']:g} at {full['electric_field']:g} kV/cm "
                f"spreads arrival times over {spread:.2g} us, more than the {SIGMA_RANGE[1]:g} us that the response "
                f"table holds; use values nearer to {table['longitudinal_diffusion'].nominal:g} cm2/us."
            )
        if _width(full, self.geometry.temperature) * math.sqrt(drift) > self.geometry.pixel_pitch * 10:
            raise ModelRangeError(
                f"transverse_diffusion = {full['transverse_diffusion']:g} spreads the charge over more than ten "
                f"pixels; use values nearer to {table['transverse_diffusion'].nominal:g} cm2/us."
            )
        return full

    def charges(
        self, plan: Plan, block: tuple[int, int], values: Mapping[str, float], names: tuple[str, ...]
    ) -> PixelCharges:
        """The packets of a block of pixels, with derivatives to `names`."""
        nodes, node = plan.nodes_of(block)
        pairs = plan.pairs_of(block)
        segment = torch.from_numpy(nodes.segment).long().to(self.settings.device)
        deposits = Deposits(
            energy=self._energy[segment] * self.tensor(nodes.fraction),
            dedx=self._dedx[segment],
            distance=self.tensor(nodes.distance),
        )
        places = Places(
            torch.from_numpy(node).to(self.settings.device),
            *map(self.tensor, (plan.x[pairs], plan.y[pairs], plan.delay[pairs])),
        )
        p = {name: self.tensor(np.float64(value)) for name, value in values.items()}
        model: dict[str, Any] = {
            "recombination": self.settings.recombination,
            "response_start": self.geometry.response_start,
            "temperature": self.geometry.temperature,
        }
        first = torch.from_numpy(plan.first[block[0] : block[1] + 1] - pairs.start).to(self.settings.device)
        tangents = None
        if names:
            quantities, tangents = packets_with_derivatives(deposits, p, names, **model)
        else:
            quantities = packets(deposits, p, **model)
        return pixel_charges(self.table, self.geometry.pixel_pitch, first, places, quantities, tangents)

    def comparator(self, plan: Plan, block: tuple[int, int], levels: NoiseLevels) -> Comparator:
        """The comparators of a block of pixels, with noise on them."""
        clock = self.geometry.readout.clock
        phase = self.tensor(np.mod(plan.time[slice(*block)], clock))
        return Comparator(levels.discriminator, levels.reset, clock, phase)

    def _trigger(self, plan: Plan, block: tuple[int, int], noise: Noise | None) -> Trigger:
        readout = self.geometry.readout
        event, channel = plan.event[slice(*block)], plan.channel[slice(*block)]
        threshold = self.tensor(self.pixels.of(channel)[0])
        trigger = Trigger(threshold, readout.hold, readout.clock, readout.max_hits)
        if noise is None:
            return trigger
        reset, sampling = noise.hits(event, channel, readout.max_hits)

        def flicker(pixel: Tensor, ticks: int) -> Tensor:
            rows = pixel.cpu().numpy()
            return self.tensor(noise.ticks(event[rows], channel[rows], ticks))

        trigger = replace(trigger, reset=self.tensor(reset), sampling=self.tensor(sampling))
        if noise.levels.discriminator == 0:
            return trigger
        return replace(trigger, comparator=self.comparator(plan, block, noise.levels), flicker=flicker)

    def map_blocks(
        self,
        run: Callable[[tuple[int, int]], T],
        blocks: tuple[tuple[int, int], ...],
        progress: Callable[[int], None] = lambda blocks: None,
    ) -> list[T]:
        """What `run` makes of each block, in their order."""
        # Always in threads of their own, also where there is one, so that the settings of the caller's thread stay.
        with ThreadPoolExecutor(self.settings.threads, initializer=_one_thread) as pool:
            done = []
            for result in pool.map(run, blocks):  # in the order of the blocks, whichever is ready first
                done.append(result)
                progress(1)
            return done

    def _collect(self, plan: Plan, parts: list[tuple[Tensor, ...]], names: tuple[str, ...]) -> SimulatedHits:
        if parts:
            columns = [torch.cat(c).cpu().numpy() for c in zip(*parts, strict=True)]
        else:
            columns = [np.zeros(0, dtype=np.int64)] * 2 + [np.zeros(0)] * 2 + [np.zeros((0, len(names) + 1))] * 2
        pixel, order, time, charge = columns[:4]
        channel, charge = plan.channel[pixel], charge.astype(np.float64)
        hits = SimulatedHits(
            event=plan.event[pixel],
            channel=channel,
            order=order,
            time=time.astype(np.float64) + plan.time[pixel],
            charge=charge,
            adc=self.pixels.adc(charge, channel),
            names=names,
        )
        if not names:
            return hits
        d_charge, d_time = (c.astype(np.float64) for c in columns[4:])
        # A saturated or empty ADC does not move.
        moves = (hits.adc > 0) & (hits.adc < self.geometry.readout.adc_counts)
        slope = np.where(moves, self.pixels.counts_per_electron(channel), 0.0)
        return replace(hits, d_charge=d_charge, d_adc=d_charge * slope[:, None], d_time=d_time)

    def tensor(self, array: object) -> Tensor:
        """An array in the floating point and on the device of the model."""
        return torch.as_tensor(array, dtype=self.settings.dtype, device=self.settings.device)


def _one_thread() -> None:
    """Settings of every thread that computes a block."""
    # Blocks run side by side, one thread each: sums then do not depend on the number of threads.
    torch.set_num_threads(1)
    # Far tails of Gaussians underflow; arithmetic on what is below the smallest normal number is a hundred times
    # slower.
    torch.set_flush_denormal(True)


def _as_columns(hits: PixelHits, block: tuple[int, int]) -> tuple[Tensor, ...]:
    return hits.pixel + block[0], hits.order, hits.time, hits.charge


def _width(values: Mapping[str, float], temperature: float) -> float:
    """sqrt(2 D_T / v) [sqrt(cm)]: transverse width per square root of drift distance."""
    return math.sqrt(2 * values["transverse_diffusion"] / argon.scaled_drift_velocity(values, temperature))
