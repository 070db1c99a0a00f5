"""Which hits hold stray charge, each judged by all others.

A state that makes the density largest explains a hit with too much charge by a segment that lost much more often than
not, as nothing but that hit tells of the segment: one point of the state is compared where ranges of it count. So
classes of hits are found with the state integrated over, and held while parameters and states move (the steps of the
EM algorithm, whose fixed points are those of the likelihood of all classes together).

With e the two residuals of a hit in units of their noise, J their derivatives to the state, D the information that it
gives, g the derivative of its log-density to e, and V = J H^-1 J^T, the other hits alone expect, to first order,

    e_0 = e - V_0 g,    known to 1 + V_0,    V_0 = V (1 - D V)^-1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ...simulate.first_passage import Classes, RecordedCharge, Stray
from ...simulate.linked import StrayClasses
from ...tables import Floats
from .part import Evaluated, Part, Planned, factorised

#: Hits whose derivatives are solved for at once.
_AT_ONCE = 64


def associated(
    part: Part,
    at: Evaluated,
    values: Mapping[str, float],
    names: tuple[str, ...],
    planned: Planned,
    stray: Stray,
    widened: float,
    before: StrayClasses | None,
) -> StrayClasses:
    """Classes of the hits of a part at a state; `before`: those that it was found with, None: as they are there."""
    noise = part.settings.noise
    assert noise is not None
    widths = widened * np.array([noise.reset, noise.sampling])
    everything = np.ones_like(at.weights)
    whole = part.at(at.state, values, names, widened=widened, weights=everything, planned=planned, stray=stray)
    row = np.full((len(part.data), 2), -1)
    of = np.flatnonzero(whole.sources >= 0)
    row[whole.sources[of] // 2, whole.sources[of] % 2] = of
    hits = np.flatnonzero((row >= 0).all(axis=1) & np.isfinite(at.excess).all(axis=1))
    spread = _spread(at, whole, row[hits])
    told = at.weights[hits] ** 2
    others = np.linalg.inv(np.eye(2) - spread * told[:, None, :]) @ spread
    others = 0.5 * (others + others.transpose(0, 2, 1))
    excess = np.nan_to_num(at.excess)
    own = _classes(stray, excess, np.broadcast_to(widths, excess.shape)) if before is None else before
    expected, wide = excess.copy(), np.tile(widths, (len(excess), 1))
    expected[hits] -= widths * np.einsum("hij,hj->hi", others, _pull(stray, excess, widths, own)[hits])
    wide[hits] *= np.sqrt(1 + np.maximum(np.einsum("hii->hi", others), 0.0))
    return _classes(stray, expected, wide)


def _spread(at: Evaluated, whole: Evaluated, row: np.ndarray) -> Floats:
    """`(h, 2, 2)` covariance of the residuals of hits in units of their noise, from that of the state."""
    factor = factorised(at.local)
    spread = np.zeros((len(row), 2, 2))
    # A recorded charge that is larger in the model is less of an excess.
    sign = np.array([1.0, -1.0])
    for a in range(0, len(row), _AT_ONCE):
        some = row[a : a + _AT_ONCE]
        slopes = whole.rows[some.ravel()].toarray()
        solved = factor.solve(np.ascontiguousarray(slopes.T)).T
        slopes, solved = (v.reshape(len(some), 2, -1) * sign[None, :, None] for v in (slopes, solved))
        spread[a : a + _AT_ONCE] = slopes @ solved.transpose(0, 2, 1)
    return spread


def _classes(stray: Stray, excess: Floats, wide: Floats) -> StrayClasses:
    x, width = (torch.from_numpy(np.ascontiguousarray(v)) for v in (excess, wide))
    found = stray.classes(x[:, 0], width[:, 0], _recorded(x), width[:, 1])
    return StrayClasses(found.early.numpy(), found.held.numpy())


def _pull(stray: Stray, excess: Floats, widths: Floats, classes: StrayClasses) -> Floats:
    """`(h, 2)` derivative of the log-density of hits to their residuals in units of noise."""
    x = torch.from_numpy(excess).clone().requires_grad_()
    held = Classes(torch.from_numpy(classes.early), torch.from_numpy(classes.held))
    log = stray.crossed(x[:, 0], float(widths[0]), _recorded(x), float(widths[1]), held).log
    return np.asarray(torch.autograd.grad(log.sum(), x)[0].numpy() * widths)


def _recorded(excess: Tensor) -> RecordedCharge:
    return RecordedCharge(excess[:, 1], excess[:, 1], torch.zeros_like(excess[:, 1]))
