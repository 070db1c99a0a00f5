"""Settings of the selection."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .section import NotNegative, Positive, Section


class Select(Section):
    """Selection cuts: those of arXiv:2309.04639 by default, and limits on delays and total length; null: off."""

    species: tuple[int, ...] = Field((), description="PDG codes to keep; empty: all")
    max_delay_us: Positive | None = Field(
        1000.0,
        description="keep segments deposited at most this long after the earliest of their event (decays, captures)",
    )
    max_abs_cos_drift: Annotated[float, Field(gt=0, le=1)] | None = Field(
        0.966, description="keep tracks whose |cos(angle to the drift)|, first start to last end, is below this"
    )
    track_anode_margin_cm: NotNegative | None = Field(
        2.0, description="drop a track if any of its segment centres is this close to an anode (tested first)"
    )
    max_anode_distance_cm: Positive | None = Field(15.0, description="keep segments within this distance of an anode")
    min_track_length_cm: NotNegative | None = Field(2.0, description="drop shorter tracks")
    max_total_length_cm: Positive | None = Field(
        600.0, description="keep whole tracks, in an order fixed by the seed, up to this summed length"
    )
