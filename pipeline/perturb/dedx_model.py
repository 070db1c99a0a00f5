"""Perturbation `dedx_model`: dE/dx taken from a model of the particle instead of from the deposits."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from ..config.section import Positive
from ..tables import Bools, Floats, Segments
from .base import Context, Perturbation, Perturbed, consistent
from .tracks import Path, path_of


class DedxModel(Perturbation):
    """dE/dx of every deposit replaced by what a model says for a particle of its label."""

    kind: Literal["dedx_model"] = "dedx_model"
    model: Literal["constant", "mip", "mean", "most_probable"] = Field(
        description="constant: the given value; mip: the least mean loss that the particle can have; mean: Bethe's "
        "mean loss; most_probable: that of Landau and Vavilov in a layer of the deposit's length"
    )
    value_mev_per_cm: Positive | None = Field(None, description="constant: dE/dx")
    at: Literal["residual_range", "momentum"] = Field(
        "residual_range",
        description="mean, most_probable: energy from the path that is left, as if every track stopped where it ends; "
        "or from a momentum at the start of every track",
    )
    momentum_mev: Positive | None = Field(None, description="momentum: at the start of every track [MeV/c]")
    species: tuple[int, ...] = Field((), description="PDG codes, either sign, of tracks that get it; empty: all it can")

    @model_validator(mode="after")
    def _complete(self) -> DedxModel:
        energy = self.model in ("mean", "most_probable")
        for key, wanted, what in (
            ("value_mev_per_cm", self.model == "constant", f"the model {self.model}"),
            ("momentum_mev", energy and self.at == "momentum", f"the model {self.model} at {self.at}"),
        ):
            given = getattr(self, key) is not None
            if wanted and not given:
                raise ValueError(f"{what} needs {key}; add it")
            if given and not wanted:
                raise ValueError(f"{what} has no use for {key}; take it out")
        return self


def dedx_model(segments: Segments, settings: DedxModel, context: Context) -> Perturbed:
    """`dE -> (dE/dx of the model) dx`; lengths stay.

    The mean loss is `T(R) - T(R - dx)` with T the energy of a particle that goes on for R: its sum along a track that
    stops is the energy at the start. The most probable loss is taken at the energy in the middle of the deposit; where
    its formula does not hold (layers so thin or thick that it leaves the range from 0 to the mean) the mean stands.
    Only charged particles of one elementary charge and heavier than electrons have these losses; others stay.
    """
    apply = _applicable(segments, settings, context)
    if settings.model == "constant":
        dEdx = np.full(len(segments), settings.value_mev_per_cm, dtype=np.float64)
        beyond = 0
    else:
        dEdx, beyond = _of_particles(segments, settings, context, apply)
    result = segments.replace(
        dE=np.where(apply, dEdx * segments.length, segments.dE), dEdx=np.where(apply, dEdx, segments.dEdx)
    )
    before, after = float(segments.dE[apply].sum()), float(result.dE[apply].sum())
    notes = [f"{np.count_nonzero(apply)} of {len(segments)} deposits have dE/dx of the model, {_ratio(after, before)}"]
    if beyond:
        notes.append(f"{beyond} deposits lie beyond the range of particles of {settings.momentum_mev:g} MeV/c: dE is 0")
    return Perturbed(consistent(result), notes=tuple(notes))


def _ratio(after: float, before: float) -> str:
    return f"{after / before:.4g} times the energy" if before > 0 else f"{after:.4g} MeV"


def _applicable(segments: Segments, settings: DedxModel, context: Context) -> Bools:
    """`(n,)` deposits whose label is one that the model knows, and that the settings want."""
    wanted = {abs(code) for code in settings.species}

    def suits(code: int) -> bool:
        return (not wanted or abs(code) in wanted) and (settings.model == "constant" or context.losses.describes(code))

    codes, which = np.unique(segments.pdg_id, return_inverse=True)
    return np.array([suits(int(code)) for code in codes], dtype=np.bool_)[which.reshape(-1)]


def _of_particles(segments: Segments, settings: DedxModel, context: Context, apply: Bools) -> tuple[Floats, int]:
    """`(n,)` dE/dx [MeV/cm] of the model where it applies, and how many deposits no particle would reach."""
    path, losses = path_of(segments), context.losses
    dEdx = np.zeros(len(segments))
    beyond = 0
    for code in map(int, np.unique(segments.pdg_id[apply])):
        chosen = segments.pdg_id[path.rows] == code
        rows = path.rows[chosen]
        if settings.model == "mip":
            dEdx[rows] = losses.least(code)
            continue
        start = None if settings.momentum_mev is None else losses.range_at(code, settings.momentum_mev)
        left, length = _left(path, start)[chosen], segments.length[rows]
        loss = losses.loss(code, left, length, most_probable=settings.model == "most_probable")
        dEdx[rows] = np.divide(loss, length, out=np.zeros_like(loss), where=length > 0)
        beyond += int(np.count_nonzero((left <= 0) & (length > 0)))
    return dEdx, beyond


def _left(path: Path, start: float | None) -> Floats:
    """`(n,)` range [cm] that is left at the start of each deposit, in the order of the path; below 0 beyond it.

    `start` is the range at the start of every track; None: each stops where it ends.
    """
    whole = np.zeros(int(path.track.max(initial=-1)) + 1)
    np.maximum.at(whole, path.track, path.end)
    return np.asarray((whole[path.track] if start is None else start) - path.begin)
