"""Settings of the reconstruction of tracks from hits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .finding import Finding
from .particles import Particles
from .section import NotNegative, Positive, Section
from .selection import Select


class Curves(Section):
    """How curves are laid through the hits of a track."""

    vertex_cm: Positive = Field(0.5, description="distance between the vertices of a curve while it is fitted")
    momentum_mev: Positive = Field(
        600.0, description="momentum times velocity (p beta) [MeV] that scattering of a track begins with"
    )
    straight_chi2: Positive = Field(1.5, description="a line suffices up to this chi^2 per degree of freedom")
    min_hits_bent: int = Field(8, ge=3, description="tracks with fewer hits stay straight")
    refinements: int = Field(6, ge=0, description="steps of the fit of curve and charge to charges and times of hits")
    charge_spread: NotNegative = Field(
        0.12, description="spread of charge within a vertex spacing that the curve's pieces do not follow, relative"
    )
    piece_spread: Positive = Field(
        0.5, description="prior width of the charge per length of a piece about that of its track, relative"
    )


class Stopping(Section):
    """Tracks of particles that stop inside, by their dE/dx against residual range; others are left out."""

    species: Literal["muon", "pion", "proton", "kaon"] = Field("proton", description="which particle")
    probability: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.9, description="least probability that a track of this particle ends where it stopped"
    )
    within_cm: Positive = Field(0.3, description="range that may be left there: how well ends are found")
    min_length_cm: NotNegative = Field(5.0, description="least length of the tracks")


class Reconstruct(Section):
    """From hits to tracks, curves, segments, charge and dE/dx."""

    t0: Literal["given", "found"] = Field(
        "given",
        description="time of events: that in the file; or not known, and found where tracks end at an anode or at the "
        "cathode, events without two such ends that agree being left out",
    )
    velocity: Literal["crossers", "assumed"] = Field(
        "crossers",
        description="drift velocity: that at which tracks across the cathode meet there (electric_field follows), "
        "where there are such tracks; or that of the assumed parameter values",
    )
    finding: Finding = Finding()
    curves: Curves = Curves()
    segment_cm: Positive = Field(1.0, description="length of the segments into which tracks are cut")
    min_hits: int = Field(4, ge=3, description="tracks with fewer hits are left out")
    dedx: Literal["mip", "range", "charge"] = Field(
        "charge",
        description="dE/dx of segments: most probable for the particle at a momentum, mean at the residual range (as "
        "mip where the track does not end inside), or from the charge of each segment",
    )
    mip_momentum_mev: Positive | None = Field(
        None, description="mip: momentum of all particles [MeV/c]; null: that at which they lose least (3.5 masses)"
    )
    particles: Particles = Particles()
    stopping: Stopping | None = Field(
        None, description="keep tracks of particles that stop inside, turned to end there, before the cuts; null: all"
    )
    cuts: Select | None = Field(
        None, description="cuts on reconstructed tracks, as those of `select` on true ones; null: none"
    )
