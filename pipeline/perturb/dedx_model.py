"""Perturbation `dedx_model`: dE/dx taken from a model of the particle instead of from the deposits."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from ..config.section import Positive
from ..tables import Bools, Floats, Segments
from .base import Context, Perturbation, Perturbed, consistent
from .tracks import Path, path_of

#: Lightest particle that loses energy as Bethe's formula says [MeV]: electrons do not.
_LIGHTEST = 10.0


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
    apply = _applicable(segments, settings)
    if settings.model == "constant":
        dEdx = np.full(len(segments), settings.value_mev_per_cm, dtype=np.float64)
        beyond = 0
    else:
        dEdx, beyond = _of_particles(segments, settings, apply)
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


def _applicable(segments: Segments, settings: DedxModel) -> Bools:
    """`(n,)` deposits whose label is one that the model knows, and that the settings want."""
    from ..matter.particles import charge, mass

    def suits(code: int) -> bool:
        if settings.species and abs(code) not in map(abs, settings.species):
            return False
        if settings.model == "constant":
            return True
        try:
            return abs(charge(code) or 0.0) == 1.0 and mass(code) > _LIGHTEST
        except ValueError:
            return False

    codes, which = np.unique(segments.pdg_id, return_inverse=True)
    return np.array([suits(int(code)) for code in codes], dtype=np.bool_)[which.reshape(-1)]


def _of_particles(segments: Segments, settings: DedxModel, apply: Bools) -> tuple[Floats, int]:
    """`(n,)` dE/dx [MeV/cm] of the model where it applies, and how many deposits no particle would reach."""
    from ..matter.particles import mass

    path = path_of(segments)
    dEdx = np.zeros(len(segments))
    beyond = 0
    for code in np.unique(segments.pdg_id[apply]):
        heavy = mass(int(code))
        chosen = segments.pdg_id[path.rows] == code
        rows, length = path.rows[chosen], segments.length[path.rows[chosen]]
        if settings.model == "mip":
            dEdx[rows] = _least_loss(heavy)
            continue
        left = _left(path, heavy, settings.momentum_mev)[chosen]
        dEdx[rows], missed = _loss(left, length, heavy, settings.model == "most_probable")
        beyond += missed
    return dEdx, beyond


def _left(path: Path, mass: float, momentum: float | None) -> Floats:
    """`(n,)` range [cm] of the particle at the start of each deposit, in the order of the path; below 0 beyond it."""
    if momentum is None:
        whole = np.zeros(int(path.track.max(initial=-1)) + 1)
        np.maximum.at(whole, path.track, path.end)
        return np.asarray(whole[path.track] - path.begin)
    from ..matter.ranges import range_table

    return np.asarray(range_table(mass).range(np.array(np.hypot(momentum, mass) - mass)) - path.begin)


def _loss(left: Floats, length: Floats, mass: float, most_probable: bool) -> tuple[Floats, int]:
    """dE/dx [MeV/cm] of deposits of `length` [cm] that begin `left` [cm] before the end, and how many lie beyond it."""
    from ..matter.ranges import range_table
    from ..matter.straggling import most_probable_loss

    table = range_table(mass)
    first, last = table.energy(np.maximum(left, 0.0)), table.energy(np.maximum(left - length, 0.0))
    loss = first - last
    if most_probable:
        thin = (length > 0) & (loss > 0)
        middle = np.where(thin, 0.5 * (first + last), mass)
        landau = most_probable_loss(middle, np.where(thin, length, 1.0), mass)
        loss = np.where(thin & (landau > 0) & (landau < loss), landau, loss)
    dEdx = np.divide(loss, length, out=np.zeros_like(loss), where=length > 0)
    return dEdx, int(np.count_nonzero((left <= 0) & (length > 0)))


def _least_loss(mass: float) -> float:
    """The smallest mean loss [MeV/cm] of particles of `mass` [MeV] at any energy."""
    from ..matter.stopping import stopping_power

    energy = mass * np.geomspace(0.5, 50.0, 2000)
    return float(stopping_power(energy, mass).min())
