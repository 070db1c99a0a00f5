"""What a fit takes as unknown of the segments, and what it believes of them beforehand."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .section import NotNegative, Positive, Section


class Hypothesis(Section):
    """A particle that a track may be."""

    species: Literal["muon", "pion", "proton", "kaon", "electron"] = Field("muon", description="kind of particle")
    kinetic_mev: Positive | None = Field(
        None, description="kinetic energy with which it begins its track, if it crosses the detector; null: it stops"
    )
    probability: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="beforehand, relative to the others; of tracks that were identified, theirs times this"
    )


class Unknown(Section):
    """Objective `marginal_likelihood`: segments are not known, and the fit integrates over what they may be."""

    geometry: bool = Field(
        True,
        description="whether the places of segments are fitted: vertices in the anode plane and along the drift, of "
        "particles that stop across their tracks and ends along them",
    )
    energy: Literal["fitted", "given"] = Field(
        "fitted", description="dE/dx of segments: fitted, starting from what is most probable, or as the input has it"
    )
    hypotheses: tuple[Hypothesis, ...] = Field(
        (Hypothesis(kinetic_mev=1000.0),), min_length=1, description="particles that tracks may be"
    )
    relative_width: Positive | None = Field(
        None, description="width of a Gaussian belief in ln(dE/dx), in place of the straggling of the hypotheses"
    )
    production_cut_mev: Positive | None = Field(
        None, description="struck electrons above this are tracks of their own; null: all stay on their segment"
    )
    stray_above_mev: Positive | None = Field(
        None,
        description="struck electrons above this are followed in a simulation, to know what pixels of a track get of "
        "them besides what its segments leave; null: hits hold no such charge",
    )
    min_track_cm: NotNegative = Field(
        0.0, description="tracks of unknown places that are shorter than this are left out: most are struck electrons"
    )
    scattering: Positive = Field(1.0, description="factor on the angles of multiple scattering that are expected")
    ends_cm: Positive = Field(0.5, description="how well the ends of tracks are known along them before the fit")
    offsets_cm: Positive = Field(100.0, description="the same of vertices along either axis of their moves; wide")
    determinant: bool = Field(
        True, description="Laplace's determinant; without it the most probable segments are taken for the true ones"
    )
    simulated: NotNegative = Field(
        2.0,
        description="tracks like the fitted ones are simulated, so many times over (fewer than 30 more often), and "
        "what the fit makes of them is taken off where places and dE/dx are fitted: it knows tracks as straight "
        "segments; 0: not",
    )
    part_length_cm: Positive = Field(400.0, description="whole events up to this length are worked on at a time")


class StruckElectrons(Section):
    """What studies of a simulated sample believe of the electrons that its particles strike."""

    production_cut_mev: Positive | None = Field(
        0.273,
        description="struck electrons above this are tracks of their own in the sample; null: all stay on their "
        "segment. Fits of hits alone simulate what pixels get of those above",
    )
