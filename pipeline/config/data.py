"""Settings of hits that were recorded elsewhere: where they stand, and what their columns mean."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from ..acquire.units import UNITS
from .section import NotNegative, Positive, Section

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Column(Section):
    """One of our columns: scale x theirs, in their unit, + offset; or one value for all hits."""

    name: str | None = Field(None, min_length=1, description="their column; null: `value` for all rows")
    value: Finite | None = Field(None, description="one value for all rows, instead of a column")
    values: dict[int, int] = Field(
        default_factory=dict, description="what their whole numbers mean: {theirs: ours}; empty: what they say"
    )
    unit: str | None = Field(None, description="their unit; null: ours (cm, us, counts, electrons)")
    scale: Finite = Field(1.0, description="times this, in their unit; -1 turns an axis round")
    offset: Finite = Field(0.0, description="plus this, in our unit")

    @model_validator(mode="after")
    def _one_source(self) -> Column:
        if (self.name is None) == (self.value is None):
            raise ValueError("give either the name of a column or a value")
        if self.values and self.name is None:
            raise ValueError("values say what the numbers of a column mean; give its name")
        if self.scale == 0:
            raise ValueError("a scale of 0 leaves nothing of the column; give a value instead")
        return self


class Columns(Section):
    """Our columns in terms of theirs."""

    event_id: Column | None = Field(None, description="number of the event; null: by the windows of `events`")
    tpc: Column | None = Field(None, description="drift volume, as the detector file numbers them")
    pixel_x: Column | None = Field(None, description="pixel along x, counted from the lower edge of the plane")
    pixel_y: Column | None = Field(None, description="pixel along y")
    x: Column | None = Field(None, description="centre of the pixel on the anode plane, instead of pixel_x")
    y: Column | None = Field(None, description="centre of the pixel on the anode plane, instead of pixel_y")
    hit: Column | None = Field(None, description="number of the hit in its pixel and event; null: in order of time")
    t: Column = Field(description="time of the threshold crossing")
    t0: Column | None = Field(None, description="time of the event, the same for all its hits")
    adc: Column | None = Field(None, description="what the ADC gave, in counts or mV at its input")
    charge: Column | None = Field(None, description="charge, pedestal taken off, instead of adc")

    @model_validator(mode="after")
    def _units(self) -> Columns:
        for name in type(self).model_fields:
            column = getattr(self, name)
            if column is not None:
                _check_unit(name, column)
        return self

    @model_validator(mode="after")
    def _complete(self) -> Columns:
        if (self.adc is None) == (self.charge is None):
            raise ValueError("give either adc (counts or mV) or charge")
        return self

    @property
    def pixel(self) -> set[str]:
        """Names of those that say which pixel a hit is on."""
        return {"tpc", "pixel_x", "pixel_y", "x", "y"} & self.given.keys()

    @property
    def given(self) -> dict[str, Column]:
        """Those that are there, by our names."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: column for name, column in found.items() if column is not None}


class Events(Section):
    """A table with the time of every event."""

    dataset: str = Field(min_length=1, description="table in the file, or group of one-dimensional datasets")
    rows: dict[str, tuple[int, ...]] = Field(default_factory=dict, description="rows to take, as for hits")
    event_id: Column | None = Field(None, description="number of the event; null: 0, 1, ... in order of t0")
    t0: Column = Field(description="time of the event")
    window_us: Positive | None = Field(
        None, description="where hits have no event_id: a hit belongs to the last event begun at most so long before"
    )

    @model_validator(mode="after")
    def _units(self) -> Events:
        if self.event_id is not None:
            _check_unit("event_id", self.event_id)
        _check_unit("t0", self.t0)
        return self


class Channels(Section):
    """A map of channels of the electronics to pixels."""

    file: str = Field(min_length=1, description="CSV table of `keys`, tpc, pixel_x and pixel_y")
    keys: tuple[str, ...] = Field(
        min_length=1, description="columns that name a channel, in the table of hits and in this one"
    )

    @field_validator("keys")
    @classmethod
    def _once(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(keys)) < len(keys):
            raise ValueError("a column is listed twice")
        return keys


class Data(Section):
    """Hits that were recorded elsewhere."""

    file: str = Field(min_length=1, description="HDF5 file of hits")
    dataset: str = Field("hits", min_length=1, description="table in it, or group of one-dimensional datasets")
    rows: dict[str, tuple[int, ...]] = Field(
        default_factory=dict, description="rows to take: {their column: values it may have}; empty: all"
    )
    columns: Columns = Field(description="our columns in terms of theirs")
    channels: Channels | None = Field(None, description="map of channels to pixels, instead of columns")
    events: Events | None = Field(None, description="table of the times of events, instead of columns.t0")
    absolute_time: bool = Field(
        False, description="t and t0 count from the same beginning, so that t0 is taken off t; else t counts from t0"
    )
    position_tolerance_cm: Positive = Field(
        0.05, description="how far from the centre of a pixel a position may lie, in x and in y"
    )
    integer: bool = Field(False, description="whole ADC counts, and times cut to clock ticks")
    noise_electrons: tuple[NotNegative, NotNegative, NotNegative] | None = Field(
        None, description="known widths of its noise: at resets, per hit, on the discriminator; null: not known"
    )

    @model_validator(mode="after")
    def _times(self) -> Data:
        table = self.events
        if self.columns.t0 is not None and table is not None:
            raise ValueError("the times of events are in columns.t0 or in the table events, not in both")
        if self.absolute_time and self.columns.t0 is None and table is None:
            raise ValueError("absolute_time needs the times of events: columns.t0, or the table events")
        windows = table is not None and table.window_us is not None
        if (self.columns.event_id is None) != windows:
            raise ValueError("give either columns.event_id, or events.window_us to find the event of a hit by its time")
        if windows and not self.absolute_time:
            raise ValueError("events.window_us compares absolute times; set absolute_time to true")
        if table is not None and table.event_id is None and not windows:
            raise ValueError("events.event_id is missing; without it no hit is known to be of an event")
        return self

    @model_validator(mode="after")
    def _pixel(self) -> Data:
        choices = ({"tpc", "pixel_x", "pixel_y"}, {"tpc", "x", "y"}) if self.channels is None else (set(),)
        if self.columns.pixel not in choices:
            raise ValueError(
                "give the pixel of a hit by one of: columns tpc, pixel_x and pixel_y; columns tpc, x and y (the "
                "position of its centre); the table channels"
            )
        return self


def _check_unit(name: str, column: Column) -> None:
    """Refuse a unit that a column cannot have."""
    if column.unit is not None and column.unit not in UNITS.get(name, ()):
        known = ", ".join(UNITS.get(name, ())) or "none: it is a number"
        raise ValueError(f"{name}.unit: {column.unit!r} is not a unit of {name}; there are {known}")
    if column.values and name in UNITS:
        raise ValueError(f"{name}.values: only for whole numbers such as tpc; use unit, scale and offset")
