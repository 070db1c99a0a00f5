"""The detector: drift volumes, pixel plane and readout constants, read from a file, never from code."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..parameters import Parameter, register
from ..tables import Bools, Floats, Ints, Segments

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]

SHIFT_X = register(
    Parameter(
        "shift_x", "dx", "cm", 0.0, -0.1, 0.1, "shift of all deposits in x (anode plane)", minimum=-10, maximum=10
    )
)
SHIFT_Y = register(
    Parameter(
        "shift_y", "dy", "cm", 0.0, -0.1, 0.1, "shift of all deposits in y (anode plane)", minimum=-10, maximum=10
    )
)
SHIFT_Z = register(
    Parameter(
        "shift_z",
        "dz",
        "cm",
        0.0,
        -0.3,
        0.3,
        "added to the distance of all deposits to their anode",
        minimum=-10,
        maximum=10,
    )
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tpc(_Part):
    """One drift volume between a cathode face and an anode [cm]."""

    tpc: int = Field(ge=0)
    z_anode: Finite
    z_cathode: Finite

    @model_validator(mode="after")
    def _has_length(self) -> Tpc:
        if self.z_anode == self.z_cathode:
            raise ValueError(f"z_anode and z_cathode are both {self.z_anode:g} cm; between them electrons drift")
        return self

    @property
    def drift_length(self) -> float:
        """The longest way [cm] of electrons."""
        return abs(self.z_anode - self.z_cathode)


class ReadoutConstants(_Part):
    """Self-triggered charge readout: threshold [electrons], times [us], voltages [mV]."""

    threshold: Positive
    hold: Positive
    clock: Positive
    max_hits: Count
    gain: Positive
    pedestal: Finite
    common_mode: Finite
    reference: Finite
    adc_counts: int = Field(ge=2)

    @model_validator(mode="after")
    def _has_range(self) -> ReadoutConstants:
        if self.reference <= self.common_mode:
            raise ValueError(
                f"reference is {self.reference:g} mV and must be above common_mode, {self.common_mode:g} mV"
            )
        return self

    @property
    def counts_per_mv(self) -> float:
        """ADC counts per mV."""
        return self.adc_counts / (self.reference - self.common_mode)


class DetectorGeometry(_Part):
    """A detector as described by its YAML file; lengths in cm, simulation frame."""

    name: str
    drift_axis: Literal["x", "z"]
    x_range: tuple[Finite, Finite]
    y_range: tuple[Finite, Finite]
    pixel_pitch: Positive
    pixels: tuple[Count, Count]
    tpcs: tuple[Tpc, ...] = Field(min_length=1)
    response_start: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    temperature: Positive
    readout: ReadoutConstants

    @model_validator(mode="after")
    def _consistent(self) -> DetectorGeometry:
        for axis, (low, high), n in (("x", self.x_range, self.pixels[0]), ("y", self.y_range, self.pixels[1])):
            if low >= high:
                raise ValueError(f"{axis}_range must run from a lower to a higher end, not from {low:g} to {high:g}")
            if abs((high - low) / self.pixel_pitch - n) > 0.5:
                raise ValueError(f"{axis}_range is not {n} pixels of {self.pixel_pitch} cm wide")
        if [t.tpc for t in self.tpcs] != list(range(len(self.tpcs))):
            raise ValueError("tpcs must be numbered 0, 1, ... in order")
        spans = sorted((*sorted((t.z_anode, t.z_cathode)), t.tpc) for t in self.tpcs)
        for (_, high, one), (low, _, other) in pairwise(spans):
            if low < high:
                raise ValueError(f"tpcs {one} and {other} overlap in z; a point must lie in one drift volume at most")
        return self

    @property
    def channels(self) -> int:
        """Number of pixels of all drift volumes."""
        return len(self.tpcs) * self.pixels[0] * self.pixels[1]

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        """Lower and upper corner `(3,)` [cm] of the box around all drift volumes."""
        faces = [face for t in self.tpcs for face in (t.z_anode, t.z_cathode)]
        low, high = zip(self.x_range, self.y_range, (min(faces), max(faces)))
        return np.array(low), np.array(high)

    def tpc_of(self, position: Floats) -> Ints:
        """Drift volume that holds each point `(n, 3)`; -1 outside all of them (`(n,)`)."""
        x, y, z = position.T
        found = np.full(len(position), -1, dtype=np.int64)
        on_plane = (x >= self.x_range[0]) & (x <= self.x_range[1]) & (y >= self.y_range[0]) & (y <= self.y_range[1])
        for t in self.tpcs:
            low, high = sorted((t.z_anode, t.z_cathode))
            found[on_plane & (z >= low) & (z <= high)] = t.tpc
        return found

    def nearest_tpc(self, z: Floats) -> Ints:
        """`(n,)` drift volume of each drift coordinate [cm]: the one that holds it, else that of the nearest anode."""
        found: Ints = np.argmin(np.abs(z[:, None] - np.array([t.z_anode for t in self.tpcs])), axis=1).astype(np.int64)
        for number, t in enumerate(self.tpcs):
            low, high = sorted((t.z_anode, t.z_cathode))
            found[(z >= low) & (z <= high)] = number
        return found

    def active(self, segments: Segments) -> Bools:
        """`(n,)` whether the centre of each segment lies within the outer bounds of the drift volumes."""
        low, high = self.bounds
        centre = segments.centre
        return np.asarray(((centre >= low) & (centre <= high)).all(axis=1))

    def side_distance(self, position: Floats) -> Floats:
        """Distance [cm] of points `(n, 3)` to the nearest side of the plane of pixels; negative outside."""
        low, high = self.bounds
        return np.asarray(np.minimum(position - low, high - position)[:, :2].min(axis=1))

    def anode_distance(self, z: Floats) -> Floats:
        """Distance [cm] of each drift coordinate to the nearest anode."""
        return np.asarray(np.min(np.abs(z[:, None] - np.array([t.z_anode for t in self.tpcs])), axis=1))

    def pixel_centre(self, pixel_x: Ints, pixel_y: Ints) -> tuple[Floats, Floats]:
        """x and y [cm] of the centres of pixels."""
        x = self.x_range[0] + (pixel_x + 0.5) * self.pixel_pitch
        return np.asarray(x), np.asarray(self.y_range[0] + (pixel_y + 0.5) * self.pixel_pitch)

    def drift_coordinate(self, tpc: Ints, time: Floats, velocity: float) -> Floats:
        """z [cm] of charge that crosses the threshold on arrival, `time` [us] after its deposit; `velocity` [cm/us]."""
        anode = np.array([t.z_anode for t in self.tpcs])[tpc]
        return np.asarray(anode + self.outward(tpc) * (velocity * time + self.response_start))

    def undrifted(self, tpc: Ints) -> Floats:
        """z [cm] of charge that needs no time to drift."""
        return self.drift_coordinate(tpc, np.zeros(len(tpc)), 0.0)

    def outward(self, tpc: Ints) -> Floats:
        """The sign by which z grows away from the anode of each drift volume."""
        return np.array([np.sign(t.z_cathode - t.z_anode) for t in self.tpcs])[tpc]

    def channel(self, tpc: Ints, pixel_x: Ints, pixel_y: Ints) -> Ints:
        """One number per pixel, increasing in (tpc, pixel_x, pixel_y)."""
        return (tpc * self.pixels[0] + pixel_x) * self.pixels[1] + pixel_y

    def pixel(self, channel: Ints) -> tuple[Ints, Ints, Ints]:
        """Inverse of `channel`: tpc, pixel_x, pixel_y."""
        rest, pixel_y = np.divmod(channel, self.pixels[1])
        tpc, pixel_x = np.divmod(rest, self.pixels[0])
        return tpc, pixel_x, pixel_y


def geometry_from_mapping(content: Mapping[str, object]) -> DetectorGeometry:
    """Check the content of a detector file; raises `pydantic.ValidationError`."""
    return DetectorGeometry.model_validate(content)
