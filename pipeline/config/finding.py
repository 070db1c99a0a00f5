"""Settings of how tracks are found in hits."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .section import NotNegative, Positive, Section


class Finding(Section):
    """How hits are put together to tracks; lengths in cm."""

    neighbour_cm: Positive = Field(2.0, description="hits no further apart than this belong to one cluster")
    neighbours: int = Field(3, ge=1, description="a hit with fewer hits than this so near, itself included, is noise")
    seed_cm: Positive = Field(4.0, description="radius in which a straight line is looked for to begin a track")
    window_cm: Positive = Field(10.0, description="end of a track that its continuation is extrapolated from")
    road_cm: Positive = Field(0.6, description="hits no further from the extrapolated track than this continue it")
    scattering: NotNegative = Field(0.04, description="the road widens by this [cm] per cm of extrapolation")
    gap_cm: Positive = Field(4.0, description="longest gap without hits that a track is followed across")
    join_gap_cm: Positive = Field(12.0, description="longest gap between two pieces in line that are one track")
    join_angle: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.12, description="largest angle [rad] between two pieces that are one track"
    )
    hit_distance_cm: Positive = Field(0.65, description="hits no further than this from a track belong to it")
    velocity_tolerance: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.07, description="relative error of the drift velocity up to which tracks are joined across the cathode"
    )
    minimum_hits: int = Field(6, ge=3, description="tracks of fewer hits are none")
    minimum_cm: Positive = Field(2.0, description="shorter tracks are none")
