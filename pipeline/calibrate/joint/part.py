"""A part of the data with tracks of its own: its log-density, its state eliminated.

With H the curvature of minus the log-density of hits and state together, blocks `t` of parameters and `l` of the state,

    minus log of the integral over the state = cost(l at its maximum) + ln det(H_ll) / 2 + constant   (Laplace),

and a Newton step of the parameters alone has the Schur complement `H_tt - H_tl H_ll^-1 H_lt`; the state follows. H_ll
is sparse: a hit sees the few segments around it, tracks that share no pixel do not see each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
import torch
from scipy.sparse.linalg import SuperLU, splu

from ...detector import argon
from ...detector.geometry import DetectorGeometry
from ...detector.pixels import PixelConstants
from ...simulate.first_passage import NO_STRAY, Stray
from ...simulate.linked import linked_probability
from ...simulate.model import ForwardModel, ModelSettings
from ...simulate.plan import Plan
from ...tables import Bools, Floats, Observables, Segments
from .beliefs import Beliefs
from .tracks import Chains

#: Steps of states that are damped are made shorter at most so often.
_BOUNDED = 4
#: Plans hold tracks that move by this much [cm].
_ROOM = 0.1


@dataclass(frozen=True)
class Planned:
    """A plan, the `deposits` that it was made for, and the pixels `touched` by tracks, `(tracks, pixels)`."""

    deposits: Segments
    plan: Plan
    touched: sparse.csr_array


@dataclass(frozen=True)
class Part:
    """Data of some events, and what is known of their tracks: where they were `found`, and `beliefs`.

    `ignored` `(h,)`: hits whose pixels do not count.
    """

    data: Observables
    found: Chains
    beliefs: Beliefs
    geometry: DetectorGeometry
    settings: ModelSettings
    pixels: PixelConstants
    ignored: Bools | None = None

    def at(
        self,
        state: Chains,
        values: Mapping[str, float],
        names: tuple[str, ...],
        *,
        widened: float = 1.0,
        weights: Floats | None = None,
        planned: Planned | None = None,
        stray: Stray = NO_STRAY,
    ) -> Evaluated:
        """The log-density of data and state at parameter values, to second order: see `linked_probability`."""
        deposits = state.deposits
        model = ForwardModel(deposits, self.geometry, self.settings, self.pixels)
        if planned is None:
            planned = _planned(state, model.plan(values))
        plan = planned.plan.moved(planned.deposits, deposits)
        hits = linked_probability(
            model,
            self.data,
            values,
            names,
            ignored=self.ignored,
            widened=widened,
            weights=weights,
            plan=plan,
            stray=stray,
        )
        believed = self.beliefs.of(state, self.found)
        moves = state.moves(steepness(deposits.dEdx, values, self.settings.recombination))
        local = sparse.csr_array(hits.local_rows @ moves)
        return Evaluated(
            state=state,
            cost=float(believed.of_tracks.sum()) - hits.log,
            of_tracks=believed.of_tracks - planned.touched @ hits.of_pixels,
            gradient=-hits.score,
            gradient_of_tracks=-(planned.touched @ hits.scores),
            local_gradient=believed.gradient - moves.T @ hits.local_score,
            curvature=hits.rows.T @ hits.rows,
            mixed=np.asarray(local.T @ hits.rows),
            local=sparse.csc_array(local.T @ local + believed.curvature),
            hits=hits.hits,
            outliers=hits.outliers,
            weights=hits.weights,
        )

    def planned(self, state: Chains, values: Mapping[str, float]) -> Planned:
        """The plan for tracks near a state."""
        model = ForwardModel(state.deposits, self.geometry, self.settings, self.pixels)
        return _planned(state, model.plan({**values, "shift_x": _ROOM, "shift_z": _ROOM}))


def _planned(state: Chains, plan: Plan) -> Planned:
    """With the pixels that tracks touch: each counts once for each of its tracks."""
    pixels = len(plan.event)
    pairs = plan.pixel * np.int64(state.tracks)
    pixel, track = np.divmod(np.unique(pairs + state.track_of_deposits[plan.segment]), state.tracks)
    shape = (state.tracks, pixels)
    return Planned(state.deposits, plan, sparse.csr_array((np.ones(len(pixel)), (track, pixel)), shape=shape))


def steepness(dedx: Floats, values: Mapping[str, float], recombination: str) -> Floats:
    """`(n,)` d ln(charge) / d ln(dE/dx) of segments of fixed length: 1 where nothing recombines."""
    p = {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}
    at = torch.tensor(dedx * values["dedx_scale"], dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        log = (at * argon.RECOMBINATION[recombination](at, p)).log().sum()
        slope = torch.autograd.grad(log, at)[0]
    return np.asarray((slope * at.detach()).numpy())


@dataclass(frozen=True)
class Evaluated:
    """Minus log-density at a state and parameter values, with its gradient and curvature in both.

    `of_tracks` `(tracks,)`, and the gradient to the parameters `gradient_of_tracks` `(tracks, P)`: those of each track
    and of all pixels that it touches.
    """

    state: Chains
    cost: float
    of_tracks: Floats
    gradient: Floats
    gradient_of_tracks: Floats
    local_gradient: Floats
    curvature: Floats
    mixed: Floats
    local: sparse.csc_array
    hits: int
    outliers: int
    weights: Floats

    def eliminated(self, damping: Floats | None = None) -> Eliminated:
        """The state eliminated, its curvature raised by `damping` `(tracks,)` of its diagonal, and so far that its own
        step is not much larger than it can be (`Chains.farthest`)."""
        diagonal = self.local.diagonal()
        more = np.zeros(len(diagonal)) if damping is None else damping[self.state.track_of_columns] * diagonal
        for _ in range(1 if damping is None else _BOUNDED):
            local = self.local + sparse.diags_array(more) if more.any() else self.local
            factor = factorised(sparse.csc_array(local))
            solved = factor.solve(np.column_stack([self.local_gradient, self.mixed]))
            far = np.abs(solved[:, 0]) / self.state.farthest
            if far.max(initial=0.0) <= 1:
                break
            # What would go far is held back, so that all others know that it is.
            more += np.maximum(far - 1, 0.0) * (diagonal + more)
        return Eliminated(
            gradient=self.gradient - self.mixed.T @ solved[:, 0],
            curvature=self.curvature - self.mixed.T @ solved[:, 1:],
            newton=self.state.bounded(-solved[:, 0]),
            follow=-solved[:, 1:],
            log_dets=self._log_dets(factor),
            promised=float(self.local_gradient @ solved[:, 0]),
        )

    def of_each_track(self, eliminated: Eliminated) -> Floats:
        """`(tracks, P)` gradient to the parameters of each track that shares no pixel with another, its state
        `eliminated`."""
        gradient = self.gradient_of_tracks.copy()
        np.add.at(gradient, self.state.track_of_columns, eliminated.follow * self.local_gradient[:, None])
        return gradient

    def log_dets(self) -> Floats:
        """`(tracks,)` ln |det| of the curvature of the state; where tracks share pixels, their sum alone is theirs."""
        return self._log_dets(factorised(self.local))

    def _log_dets(self, factor: SuperLU) -> Floats:
        return np.asarray(np.bincount(self.state.track_of_columns, log_pivots(factor), self.state.tracks), dtype=float)

    def energies_eliminated(self) -> Floats:
        """`(P, P)` information on the parameters if the places of all segments were known, and only u was not."""
        columns = self.state.energy_columns
        mixed = self.mixed[columns]
        factor = factorised(sparse.csc_array(self.local[columns][:, columns]))
        return np.asarray(self.curvature - mixed.T @ factor.solve(mixed))


@dataclass(frozen=True)
class Eliminated:
    """What is left of a part for the parameters: `gradient` `(P,)`, Schur complement `curvature` `(P, P)`.

    A step `d` of the parameters moves the state by `newton + follow d`. `promised`: twice the gain of the state's own
    step. `log_dets` `(tracks,)` of the curvature of the state: those of each track, if it shares no pixel with another.
    """

    gradient: Floats
    curvature: Floats
    newton: Floats
    follow: Floats
    log_dets: Floats
    promised: float


def factorised(matrix: sparse.csc_array) -> SuperLU:
    """Factors of a symmetric positive definite matrix."""
    return splu(
        sparse.csc_matrix(matrix), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )


def log_pivots(factor: SuperLU) -> Floats:
    """Logarithms of the pivots of all columns: their sum is ln |det|, infinite where the matrix is not positive."""
    return np.asarray(np.log(np.abs(factor.U.diagonal()))[factor.perm_c])
