"""Curves and charges that explain the hits: least squares with the forward model.

Unknown are the displacements of the vertices of all curves across themselves, and the charge n_j of every piece. With
`collected.Collected`, each hit gives two residuals in electrons,

    threshold - (Q(t_n) - Q(t_n-1 + hold)),   noise of the reset,
    q_n - threshold - (Q(t_n + hold) - Q(t_n)),   noise of the sampling,

and each pixel the condition that what came after its last hit stayed below threshold, `-ln Phi((threshold - left) /
noise)`. Scattering (`curve.kink_prior`) and a wide prior of charge per length hold what hits do not. Residuals in
the tails (knock-on electrons that left the track, hits of nothing) count less: weights (nu + 1) / (nu + r^2) of
Student's t. Tracks that share pixels are solved together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from scipy.special import log_ndtr

from .. import parameters
from ..config.reconstruction import Curves
from ..detector.argon import ELECTRONS_PER_MEV
from ..detector.geometry import DetectorGeometry
from ..detector.pixels import PixelConstants
from ..simulate.model import ForwardModel, ModelSettings
from ..tables import Floats, Hits, Ints, Segments
from .collected import Collected, Shares, collect
from .curve import displacements, frames, kink_prior, pieces_of
from .polyline import lengths

#: Degrees of freedom of Student's t.
_NU = 5.0
#: Standard deviations of the first steps are this much wider: far from the solution it is found from farther away.
_WIDENED = (4.0, 2.5, 1.6)
#: Largest move of a vertex [cm] and largest factor on a charge in one step.
_LARGEST_MOVE, _LARGEST_FACTOR = 0.15, 2.0
#: Vertices are held in place by this width [cm] where nothing else does.
_FREE = 3.0
#: Energy loss [MeV/cm] at which the charge of a piece is turned into energy and, by the same factor, back.
_LOSS = 2.0


@dataclass(frozen=True)
class State:
    """Curves of tracks of some events: vertices `(m_k + 1, 3)` of each, charge `(m_k,)` [electrons freed and not
    recombined] of its pieces, its `event` `(k,)`, and scattering `theta` `(k,)` [rad per sqrt(cm)].
    """

    vertices: tuple[Floats, ...]
    charge: tuple[Floats, ...]
    event: Ints
    theta: Floats


@dataclass(frozen=True)
class Refined:
    """A state, what the model gives there, and the precision matrix of `displacements, then charges` of each track.

    `chi2` `(h,)`: half the sum of the squares of a hit's two residuals in standard deviations; NaN where no piece
    reaches it.
    """

    state: State
    collected: Collected
    precision: tuple[Floats, ...]
    chi2: Floats


@dataclass(frozen=True)
class Electronics:
    """What the residuals are compared with: the forward model's settings, pixel constants and noise."""

    geometry: DetectorGeometry
    settings: ModelSettings
    pixels: PixelConstants
    values: Mapping[str, float]

    @staticmethod
    def of(
        geometry: DetectorGeometry, settings: ModelSettings, pixels: PixelConstants, values: Mapping[str, float]
    ) -> Electronics:
        """With nominal values of the parameters that `values` leaves out."""
        full = {**parameters.nominal_values(), **values}
        # Charge is what is fitted here, so its scale is no parameter besides.
        return Electronics(geometry, settings, pixels, {**full, "dedx_scale": 1.0})

    def model(self, state: State) -> ForwardModel:
        """The forward model of a state."""
        # Birks' law is a factor between energy and charge here, whatever the detector's recombination model.
        return ForwardModel(
            self.deposits(state), self.geometry, replace(self.settings, recombination="birks"), self.pixels
        )

    def deposits(self, state: State) -> Segments:
        """The pieces of a state as deposits that make its charge."""
        start, end, track = pieces_of(list(state.vertices))
        charge = np.concatenate([np.zeros(0), *state.charge])
        v = self.values
        escape = v["birks_ab"] / (1 + v["birks_kb"] * _LOSS / (v["electric_field"] * v["density"]))
        energy = charge / (ELECTRONS_PER_MEV * escape)
        zero, whole = np.zeros(len(track)), np.zeros(len(track), dtype=np.int64)
        return Segments(
            event_id=state.event[track], vertex_id=whole, segment_id=np.arange(len(track)), traj_id=track,
            pdg_id=whole + 13, start=start, end=end, t0=zero, t0_start=zero, t0_end=zero, dE=energy,
            dx=np.linalg.norm(end - start, axis=1), dEdx=zero + _LOSS,
        )  # fmt: skip


def refine(
    state: State,
    hits: Hits,
    electronics: Electronics,
    settings: Curves,
    on_step: Callable[[State], State] = lambda state: state,
) -> Refined:
    """Steps of least squares from a first guess; `hits` are those of its events, of tracks or not.

    `on_step` may change the state between steps (its ends, its scattering).
    """
    for number in range(settings.refinements):
        collected = collect(electronics.model(state), electronics.values, hits)
        widened = _WIDENED[number] if number < len(_WIDENED) else 1.0
        system = _System(state, collected, hits, electronics, settings, widened)
        state = on_step(system.step())
    collected = collect(electronics.model(state), electronics.values, hits)
    system = _System(state, collected, hits, electronics, settings)
    return Refined(state, collected, system.blocks(), system.chi2)


class _System:
    """The linear system of one step."""

    def __init__(
        self,
        state: State,
        collected: Collected,
        hits: Hits,
        electronics: Electronics,
        settings: Curves,
        widened: float = 1.0,
    ) -> None:
        self.widened = widened
        self.state = state
        self.sizes = [2 * len(v) + len(q) for v, q in zip(state.vertices, state.charge, strict=True)]
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        self.axes = [frames(v) for v in state.vertices]
        self._place_pieces()
        matrices, gradients = [], []
        self.chi2 = np.full(len(hits), np.nan)
        for matrix, gradient in (
            *self._of_hits(collected, hits, electronics, settings),
            self._of_rest(collected, electronics),
        ):
            matrices.append(matrix)
            gradients.append(gradient)
        prior, push = self._prior(settings)
        self.matrix = scipy.sparse.csc_array(sum(matrices, start=prior))
        self.gradient = sum(gradients, start=push)

    def _place_pieces(self) -> None:
        """Per piece of all tracks: its first vertex's and its charge's place among the unknowns, and its axes."""
        place, own, axes, charge = (
            [np.zeros(0, np.int64)],
            [np.zeros(0, np.int64)],
            [np.zeros((0, 2, 2, 3))],
            [np.zeros(0)],
        )
        for k, (vertices, q) in enumerate(zip(self.state.vertices, self.state.charge, strict=True)):
            m = len(q)
            place.append(self.offsets[k] + 2 * np.arange(m))
            own.append(self.offsets[k] + 2 * len(vertices) + np.arange(m))
            axes.append(np.stack([self.axes[k][:-1], self.axes[k][1:]], axis=1))
            charge.append(q)
        self.place, self.own = np.concatenate(place), np.concatenate(own)
        self.piece_axes, self.charge = np.concatenate(axes), np.concatenate(charge)

    def _design(self, shares: Shares, rows: int) -> scipy.sparse.csr_array:
        """Derivatives of the charge of rows to the unknowns; a piece moves by the mean of its two vertices."""
        moved = 0.5 * np.einsum("rk,rvak->rva", shares.slope, self.piece_axes[shares.piece]).reshape(-1, 4)
        columns = np.concatenate(
            [self.place[shares.piece][:, None] + np.arange(4), self.own[shares.piece][:, None]], axis=1
        )
        values = np.concatenate([moved, (shares.charge / self.charge[shares.piece])[:, None]], axis=1)
        return scipy.sparse.csr_array(
            (values.ravel(), (np.repeat(shares.row, 5), columns.ravel())), shape=(rows, int(self.offsets[-1]))
        )

    def _of_hits(
        self, collected: Collected, hits: Hits, electronics: Electronics, settings: Curves
    ) -> list[tuple[scipy.sparse.csr_array, Floats]]:
        geometry, noise = electronics.geometry, electronics.settings.noise
        channel = geometry.channel(hits.tpc, hits.pixel_x, hits.pixel_y)
        threshold = electronics.pixels.of(channel)[0]
        reset, sampling = (noise.reset, noise.sampling) if noise is not None else (900.0, 500.0)
        n = len(hits)
        reached = np.bincount(collected.rising.row, minlength=n) + np.bincount(collected.held.row, minlength=n) > 0
        rising, held = collected.rising.total(n), collected.held.total(n)
        spread = settings.charge_spread
        terms = [
            (collected.rising, threshold - rising, np.hypot(reset, spread * threshold)),
            (collected.held, hits.charge - threshold - held, np.hypot(sampling, spread * np.maximum(held, 0.0))),
        ]
        out, square = [], np.zeros(n)
        for shares, residual, sigma in terms:
            sigma = sigma * self.widened
            r2 = (residual / sigma) ** 2
            square += 0.5 * r2
            weight = np.where(reached, (_NU + 1) / (_NU + r2) / sigma**2, 0.0)
            design = self._design(shares, n)
            out.append((design.T @ scipy.sparse.diags_array(weight) @ design, design.T @ (weight * residual)))
        self.chi2[reached] = square[reached]
        return out

    def _of_rest(self, collected: Collected, electronics: Electronics) -> tuple[scipy.sparse.csr_array, Floats]:
        """What came after the last hit stayed below threshold."""
        p = len(collected.event)
        noise = electronics.settings.noise
        threshold = electronics.pixels.of(collected.channel)[0]
        sigma = np.hypot(noise.reset if noise is not None else 900.0, 0.05 * threshold) * self.widened
        u = (threshold - collected.left.total(p)) / sigma
        slope = np.exp(-0.5 * u**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(u))
        # As a residual in the tail counts less, so does a hit that is missing where much was expected.
        calm = (_NU + 1) / (_NU + np.minimum(u, 0.0) ** 2)
        design = self._design(collected.left, p)
        curvature = calm * np.clip(slope * (slope + u), 0.0, 1.0) / sigma**2
        gradient = design.T @ (-calm * slope / sigma)
        return design.T @ scipy.sparse.diags_array(curvature) @ design, gradient

    def _prior(self, settings: Curves) -> tuple[scipy.sparse.csr_array, Floats]:
        blocks, pushes = [], []
        for k, (vertices, q) in enumerate(zip(self.state.vertices, self.state.charge, strict=True)):
            bend, push = kink_prior(vertices, self.axes[k], float(self.state.theta[k]))
            h = lengths(vertices)
            density = np.median(q / h) if len(q) > 4 else (q.sum() / h.sum())
            sigma = settings.piece_spread * density * h
            # The outermost pieces may reach beyond the ends of the track.
            sigma[[0, -1]] *= 2.0
            hold = scipy.sparse.eye_array(2 * len(vertices)) / _FREE**2
            blocks.append(scipy.sparse.block_diag([bend + hold, scipy.sparse.diags_array(1 / sigma**2)]))
            pushes.append(np.concatenate([push, (density * h - q) / sigma**2]))
        return scipy.sparse.csr_array(scipy.sparse.block_diag(blocks)), np.concatenate(pushes)

    def step(self) -> State:
        """The state one step on."""
        moved = scipy.sparse.linalg.splu(self.matrix, permc_spec="MMD_AT_PLUS_A").solve(self.gradient)
        vertices, charge = [], []
        for k, (v, q) in enumerate(zip(self.state.vertices, self.state.charge, strict=True)):
            part = moved[self.offsets[k] : self.offsets[k + 1]]
            shift = part[: 2 * len(v)]
            shift = shift * min(1.0, _LARGEST_MOVE / max(float(np.abs(shift).max()), 1e-30))
            vertices.append(v + (displacements(self.axes[k]) @ shift).reshape(-1, 3))
            low, high = q / _LARGEST_FACTOR, q * _LARGEST_FACTOR
            charge.append(np.clip(q + part[2 * len(v) :], low, high))
        return replace(self.state, vertices=tuple(vertices), charge=tuple(charge))

    def blocks(self) -> tuple[Floats, ...]:
        """The precision matrix of each track, others known."""
        return tuple(self.matrix[a:b, a:b].toarray() for a, b in zip(self.offsets[:-1], self.offsets[1:], strict=True))
