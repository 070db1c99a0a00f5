"""Settings of the studies of fits whose deposits are not known, or wrong."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ..names import nearest
from ..parameters import table
from ..perturb.base import check_independent
from ..perturb.chord import Chord
from ..perturb.registry import AnyPerturbation
from ..perturb.scale_dedx import ScaleDedx
from ..perturb.shift import Shift
from ..perturb.shift_tracks import ShiftTracks
from ..perturb.smear_dedx import SmearDedx
from .repeated import RepeatedFits
from .section import Name, Positive, Section
from .unknown import Hypothesis, StruckElectrons

StageName = Literal["S1", "S2", "S3", "S4"]
#: What fits may leave open of the deposits; besides, they may free any parameter of the table.
NUISANCES = ("dedx", "geometry", "particles")


class Campaign(Section):
    """Fits of one length of track."""

    length_cm: Positive = Field(1000.0, description="length of track of one fit, in whole events")
    targets: int = Field(8, ge=1, description="number of targets, drawn with the seed of `targets`")
    draws: int = Field(13, ge=1, description="fits at each target, each with noise and, if there are enough, tracks")


class UnknownFits(StruckElectrons, RepeatedFits):
    """What the two studies share: what fits believe of deposits that they do not know."""

    hypotheses: tuple[Hypothesis, ...] = Field(
        (
            Hypothesis(kinetic_mev=1000.0, probability=0.9),
            Hypothesis(species="pion", kinetic_mev=1000.0, probability=0.1),
        ),
        min_length=1,
        description="particles that tracks may be where that is left open; otherwise all are the first of these",
    )
    hold: dict[str, Positive] = Field(
        default_factory=lambda: {"birks_kb": 1.0},
        description="parameters that are not fitted but held at this multiple of their true value (1: at the truth)",
    )


class Ladder(UnknownFits):
    """Study `ladder`: fits that know the deposits, and fits that know less and less of them."""

    stages: tuple[StageName, ...] = Field(
        ("S1", "S2", "S3", "S4"),
        min_length=1,
        description="S1: deposits known; S2: dE/dx fitted; S3: dE/dx fitted, tracks straight lines; S4: dE/dx and "
        "tracks fitted, from hits alone",
    )
    campaigns: tuple[Campaign, ...] = Field((Campaign(),), min_length=1, description="lengths, and how many fits each")

    @field_validator("stages")
    @classmethod
    def _once(cls, stages: tuple[StageName, ...]) -> tuple[StageName, ...]:
        if len(set(stages)) != len(stages):
            raise ValueError("a stage is listed twice")
        return stages

    @field_validator("campaigns")
    @classmethod
    def _lengths(cls, campaigns: tuple[Campaign, ...]) -> tuple[Campaign, ...]:
        if len({c.length_cm for c in campaigns}) != len(campaigns):
            raise ValueError("two entries have the same length_cm; give more draws to one of them")
        return campaigns


class Case(Section):
    """One thing that a fit believes and that is not so, and what may make up for it.

    Random perturbations are drawn anew for every fit, whatever their seeds.
    """

    perturb: tuple[AnyPerturbation, ...] = Field(
        (), description="mistakes in the deposits that the fit gets, in order (docs/perturbations.md)"
    )
    pions: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="part of the muons that are pions of the same energy in the data and muons to the fit"
    )
    data_recombination: Literal["birks", "box"] | None = Field(
        None, description="recombination of the data; null: that of the fit. Another has parameters of its own"
    )
    always: tuple[str, ...] = Field((), description="left open in both fits, as in ...")
    nuisances: tuple[str, ...] = Field(
        ("dedx", "geometry"),
        min_length=1,
        description="... left open in the fit with nuisances: dedx, geometry, particles, or any parameter by name",
    )

    @field_validator("perturb")
    @classmethod
    def _independent(cls, steps: tuple[AnyPerturbation, ...]) -> tuple[AnyPerturbation, ...]:
        check_independent(steps)
        return steps

    @field_validator("always", "nuisances")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = (*NUISANCES, *table())
        for name in names:
            if name not in known:
                raise ValueError(f"there is no nuisance {name!r}; did you mean {nearest(name, known)!r}?")
        return names

    @model_validator(mode="after")
    def _another(self) -> Case:
        if set(self.nuisances) <= set(self.always):
            raise ValueError("everything in nuisances is open always, so that both fits would be the same")
        return self


def _standard() -> dict[str, Case]:
    shift = ShiftTracks(along="drift", low_cm=0.0, high_cm=0.3)
    across = tuple(ShiftTracks(along=a, distribution="gaussian", sigma_cm=0.1) for a in ("x", "y"))
    pions = {
        f"pions_{round(100 * part)}": Case(pions=part, always=("dedx",), nuisances=("particles",))
        for part in (0.05, 0.1, 0.2, 0.5)
    }
    return {
        "nothing": Case(),
        "drift_shift": Case(perturb=(shift,)),
        "transverse_shift": Case(perturb=across),
        "global_shift": Case(perturb=(Shift(z_cm=0.03),), nuisances=("shift_z",)),
        "chord": Case(perturb=(Chord(),)),
        "dedx_scale": Case(perturb=(ScaleDedx(factor=1.02),), nuisances=("dedx",)),
        "dedx_smear": Case(perturb=(SmearDedx(sigma=0.1),), nuisances=("dedx",)),
        "pions_0": Case(always=("dedx",), nuisances=("particles",)),
        **pions,
        "wrong_recombination": Case(data_recombination="box", nuisances=("dedx",)),
    }


#: What the published studies tried, and what fits of unknown deposits are for.
STANDARD_CASES = _standard()


class Robustness(UnknownFits):
    """Study `robustness`: what wrong beliefs about the deposits do to a fit, with and without its nuisances."""

    length_cm: Positive = Field(500.0, description="length of track of one fit, in whole events")
    targets: int = Field(8, ge=1, description="number of targets, drawn with the seed of `targets`")
    draws: int = Field(13, ge=1, description="fits at each target, each with noise, tracks and mistakes of its own")
    fits: tuple[Literal["without", "with"], ...] = Field(
        ("without", "with"), min_length=1, description="fits that are made: without the nuisances, with them"
    )
    cases: tuple[Name, ...] = Field(
        tuple(STANDARD_CASES), min_length=1, description="what goes wrong, by name (docs/studies_robustness.md)"
    )
    named_cases: dict[Name, Case] = Field(
        default_factory=dict,
        description="more cases, {name: {perturb: [...], nuisances: [...], ...}}; listed in `cases` where they are run",
    )
    paths: int = Field(5, ge=0, description="targets whose first fit is drawn against its iterations, for ...")
    paths_of: tuple[Name, ...] = Field(("nothing", "drift_shift"), description="... these of the cases")

    def case(self, name: str) -> Case:
        """The case called `name`, of the configuration before the standard ones."""
        return self.named_cases[name] if name in self.named_cases else STANDARD_CASES[name]

    @model_validator(mode="after")
    def _cases_there(self) -> Robustness:
        known = {**STANDARD_CASES, **self.named_cases}
        for key, names in (("cases", self.cases), ("paths_of", self.paths_of)):
            for name in names:
                if name not in known:
                    raise ValueError(f"{key}: there is no case {name!r}; did you mean {nearest(name, known)!r}?")
        if len(set(self.cases)) != len(self.cases):
            raise ValueError("cases: a case is listed twice")
        return self
