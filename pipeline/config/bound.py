"""Settings of the study of the smallest possible uncertainty of fits that know the deposits, or not."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from ..names import nearest
from ..parameters import CALIBRATED, check_values, lookup
from .methods import WITHOUT_KB
from .section import Name, Positive, Section
from .studies import known_once
from .unknown import Hypothesis, StruckElectrons


class Knowledge(Section):
    """What is known beside the hits: of the deposits, and of the parameters."""

    dedx: Literal["known", "unknown"] = Field("unknown", description="dE/dx of segments")
    geometry: Literal["known", "unknown"] = Field("known", description="places of segments")
    relative_width: Positive | None = Field(
        None, description="width of a Gaussian belief in ln(dE/dx) that is not known; null: their straggling"
    )
    free: tuple[str, ...] = Field(
        CALIBRATED, min_length=1, description="parameters that are fitted, of all in the table; others are known"
    )
    priors_percent: dict[str, Positive] = Field(
        default_factory=dict, description="external knowledge of free parameters, in percent: {electron_lifetime: 2}"
    )

    @field_validator("free")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return known_once(names, "study.bound.named_cases.*.free")

    @model_validator(mode="after")
    def _consistent(self) -> Knowledge:
        if self.dedx == "known" and self.relative_width is not None:
            raise ValueError("relative_width is a belief in dE/dx that is not known; leave it out or set dedx: unknown")
        for name in self.priors_percent:
            parameter = lookup(name, "study.bound.named_cases.*.priors_percent")
            if name not in self.free:
                raise ValueError(f"priors_percent: {name} is not fitted; add it to free")
            if not parameter.nominal:
                raise ValueError(f"priors_percent: {name} is 0 {parameter.unit}, of which there are no percents")
        return self


def _standard() -> dict[str, Knowledge]:
    widths = {"": None, "_5": 0.05, "_15": 0.15, "_30": 0.3}
    held = {"S1": Knowledge(dedx="known", free=WITHOUT_KB)}
    for stage, geometry in (("S2", "known"), ("S4", "unknown")):
        for suffix, width in widths.items():
            held[stage + suffix] = Knowledge.model_validate(
                {"geometry": geometry, "relative_width": width, "free": WITHOUT_KB}
            )
    return held | {f"{name}_kb": case.model_copy(update={"free": CALIBRATED}) for name, case in held.items()}


#: The published stages, whose tracks are as they should be, with the priors of published bounds; `_kb`: with k_B free.
STANDARD_CASES = _standard()


class Bound(StruckElectrons):
    """Study `bound`: the smallest possible uncertainty, whatever is known of deposits and parameters."""

    length_cm: Positive = Field(2000.0, description="length of track that is simulated, in whole events")
    part_cm: Positive = Field(100.0, description="whole tracks up to this length are drawn together for the errors")
    draws: int = Field(2, ge=1, description="draws of noise over which the information is averaged")
    target: dict[str, float] = Field(default_factory=dict, description="true values; others nominal")
    hypotheses: tuple[Hypothesis, ...] = Field(
        (Hypothesis(kinetic_mev=1000.0),),
        min_length=1,
        description="particles that tracks may be, but for those of electrons",
    )
    lengths_cm: tuple[Positive, ...] = Field(
        (100.0, 400.0, 1000.0, 4000.0, 10000.0, 40000.0, 100000.0),
        min_length=1,
        description="lengths of track for which the uncertainty is given",
    )
    subsets: int = Field(200, ge=2, description="random samples of the parts that the errors are made of")
    cases: tuple[Name, ...] = Field(
        tuple(STANDARD_CASES), min_length=1, description="what is known, by name (docs/studies_precision.md)"
    )
    named_cases: dict[Name, Knowledge] = Field(
        default_factory=dict,
        description="more cases, {name: {dedx: unknown, geometry: known, free: [...], ...}}; listed in `cases` where "
        "they are used",
    )
    reached: str | None = Field(
        None, description="result of the study `ladder` on such a sample (.json), drawn beside the bounds; null: none"
    )

    def case(self, name: str) -> Knowledge:
        """The case called `name`, of the configuration before the standard ones."""
        return self.named_cases[name] if name in self.named_cases else STANDARD_CASES[name]

    @field_validator("target")
    @classmethod
    def _values(cls, values: dict[str, float]) -> dict[str, float]:
        return check_values(values, "study.bound.target")

    @model_validator(mode="after")
    def _cases_there(self) -> Bound:
        known = {**STANDARD_CASES, **self.named_cases}
        for name in self.cases:
            if name not in known:
                raise ValueError(f"cases: there is no case {name!r}; did you mean {nearest(name, known)!r}?")
        if len(set(self.cases)) != len(self.cases):
            raise ValueError("cases: a case is listed twice")
        return self
