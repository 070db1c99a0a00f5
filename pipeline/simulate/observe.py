"""The forward model as calibration sees it: parameters in, observables and their derivatives out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..detector.geometry import DetectorGeometry
from ..errors import FitError
from ..tables import Floats, Hits, Ints, Linearised, Observables, Probability, Recording, Supply, common_numbers
from . import pixel_likelihood
from .model import ForwardModel, SimulatedHits

VALUE_NAMES = ("adc", "t")


class PixelObservables:
    """Hits of the pixel readout as observables: ADC counts and time [us]."""

    def __init__(self, model: ForwardModel) -> None:
        self.model = model

    def observe(self, values: Mapping[str, float]) -> Observables:
        """Observables at the parameter values."""
        return observables_of_simulation(self.model.hits(values), self.model.geometry)

    def observe_with_supply(self, values: Mapping[str, float]) -> tuple[Observables, Supply]:
        """Observables at the parameter values, and the charge that each pixel has for its hits."""
        hits, readout = self.model.hits(values), self.model.geometry.readout
        plan = self.model.plan(values)
        # Pixels and hits are both sorted by event and channel.
        pixels, of_hits = common_numbers(*(np.stack([t.event, t.channel], axis=1) for t in (plan, hits)))
        pixel = np.searchsorted(pixels, of_hits)
        recorded = np.zeros((len(plan.event), readout.max_hits + 1))
        recorded[pixel, hits.order + 1] = hits.charge
        left = self.model.totals(values)[:, None] - np.cumsum(recorded, axis=1)
        threshold, _, _ = self.model.pixels.of(plan.channel)
        return observables_of_simulation(hits, self.model.geometry), Supply(
            plan.event, plan.channel, left / threshold[:, None]
        )

    def probability(self, data: Observables, values: Mapping[str, float], names: tuple[str, ...]) -> Probability:
        """Log-probability of data by pixels, with derivatives to `names`: see `pixel_likelihood.probability`."""
        return pixel_likelihood.probability(self.model, data, values, names)

    def information(self, data: Observables, values: Mapping[str, float], names: tuple[str, ...]) -> Floats:
        """`(P, P)` expected information on `names`: see `pixel_likelihood.information`."""
        return pixel_likelihood.information(self.model, data, values, names)

    def normal_scores(self, data: Observables, values: Mapping[str, float]) -> tuple[Floats, Floats]:
        """Residuals of times, and of charges given times, as Gaussian quantiles: see `pixel_likelihood`."""
        return pixel_likelihood.normal_scores(self.model, data, values)

    def linearise(self, values: Mapping[str, float], names: tuple[str, ...]) -> Linearised:
        """Observables and their exact derivatives to the parameters `names`."""
        hits = self.model.hits_with_derivatives(values, names)
        observables = observables_of_simulation(hits, self.model.geometry)
        assert hits.d_adc is not None and hits.d_time is not None
        derivatives = np.stack([hits.d_adc, hits.d_time], axis=1)
        to_threshold = derivatives[:, :, -1]
        # Charge that is there from the reset lowers the threshold, and is recorded.
        moves = (hits.adc > 0) & (hits.adc < self.model.geometry.readout.adc_counts)
        slope = np.where(moves, self.model.pixels.counts_per_electron(hits.channel), 0.0)
        reset = np.abs(np.stack([slope, np.zeros(len(slope))], axis=1) - to_threshold)
        return Linearised(observables, derivatives[:, :, :-1], np.abs(to_threshold), reset)


def observables_of_hits(hits: Hits, geometry: DetectorGeometry) -> Observables:
    """Measured hits as observables, values as recorded; raises `FitError` for hits outside the detector."""
    numbers = np.stack([hits.tpc, hits.pixel_x, hits.pixel_y], axis=1)
    beyond = np.flatnonzero((numbers >= (len(geometry.tpcs), *geometry.pixels)).any(axis=1))
    if len(beyond):
        tpc, x, y = numbers[beyond[0]]
        raise FitError(
            f"hit {beyond[0]} is on pixel ({x}, {y}) of tpc {tpc}, which {geometry.name} does not have; "
            f"are these hits of another detector?"
        )
    channel = geometry.channel(hits.tpc, hits.pixel_x, hits.pixel_y)
    order = np.lexsort((hits.hit, channel, hits.event_id))
    values = np.stack([hits.adc, hits.t], axis=1)[order]
    return Observables(
        event=hits.event_id[order],
        channel=channel[order],
        order=hits.hit[order],
        values=values,
        value_names=VALUE_NAMES,
        valid=np.asarray(np.isfinite(values).all(axis=1)),
        columns=_columns(channel[order], geometry),
        integer=hits.recording.integer,
        bins=_bins(hits.recording, geometry.readout.clock),
    )


def _bins(recording: Recording, clock: float) -> Floats | None:
    """`(2, 2)` ends of the bins of ADC counts and times about the recorded values (see `Observables`).

    Counts are rounded to the nearest. A time is cut to the tick that it falls in; where the discriminator is looked at
    once per tick, it is the tick after the crossing, in data of real numbers too.
    """
    if not (recording.integer or recording.clocked):
        return None
    count = [-0.5, 0.5] if recording.integer else [0.0, 0.0]
    return np.array([count, [-clock, 0.0] if recording.clocked else [0.0, clock]])


def hits_table(
    simulated: SimulatedHits,
    geometry: DetectorGeometry,
    *,
    drift_velocity: float,
    event_t0: Mapping[int, float],
    integer_adc: bool,
) -> Hits:
    """The table of hits that is written to a file.

    Counts and times are whole numbers with `integer_adc`: see `SimulatedHits.recorded`. The drift coordinate is that of
    charge which crossed the threshold on arrival.
    """
    tpc, pixel_x, pixel_y = geometry.pixel(simulated.channel)
    adc, time = simulated.recorded(geometry.readout, integer=integer_adc)
    x, y = geometry.pixel_centre(pixel_x, pixel_y)
    return Hits(
        event_id=simulated.event,
        tpc=tpc,
        pixel_x=pixel_x,
        pixel_y=pixel_y,
        hit=simulated.order,
        x=x,
        y=y,
        z=geometry.drift_coordinate(tpc, time, drift_velocity),
        t=time,
        adc=adc,
        charge=simulated.charge,
        drift_velocity=drift_velocity,
        event_t0=event_t0,
        recording=Recording(integer=integer_adc),
    )


def _columns(channel: Ints, geometry: DetectorGeometry) -> dict[str, Floats | Ints]:
    """What the pixel readout adds to observables: pixel centres and drift volumes."""
    tpc, pixel_x, pixel_y = geometry.pixel(channel)
    x, y = geometry.pixel_centre(pixel_x, pixel_y)
    return {"x": x, "y": y, "volume": tpc}


def observables_of_simulation(hits: SimulatedHits, geometry: DetectorGeometry) -> Observables:
    """Simulated hits as observables, with the column `charge` [electrons]."""
    return Observables(
        event=hits.event,
        channel=hits.channel,
        order=hits.order,
        values=np.stack([hits.adc, hits.time], axis=1),
        value_names=VALUE_NAMES,
        valid=np.ones(len(hits.event), dtype=bool),
        columns={**_columns(hits.channel, geometry), "charge": hits.charge},
    )
