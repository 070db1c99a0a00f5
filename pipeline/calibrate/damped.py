"""Steps of Levenberg and Marquardt between bounds."""

from __future__ import annotations

import numpy as np

from ..tables import Floats


def damped_step(gradient: Floats, curvature: Floats, damping: float, lowest: Floats, highest: Floats) -> Floats:
    """`(P,)` solution of `(H + damping diag H) dx = -g` within `lowest` ... `highest` `(P,)`.

    A coordinate that wants to go further is held at its limit and the others are solved for anew: shortening the
    whole step would stop all coordinates short where one runs into its bound.
    """
    scale = np.sqrt(np.diag(curvature))
    scale = np.where(scale > 0, scale, 1.0)
    normal = curvature / np.outer(scale, scale) + damping * np.eye(len(scale))
    step = np.zeros(len(scale))
    free = np.ones(len(scale), dtype=bool)
    while free.any():
        pull = -gradient / scale - normal[:, ~free] @ (step * scale)[~free]
        step[free] = np.linalg.lstsq(normal[np.ix_(free, free)], pull[free], rcond=1e-15)[0] / scale[free]
        beyond = free & ((step < lowest) | (step > highest))
        if not beyond.any():
            break
        step = np.where(beyond, np.clip(step, lowest, highest), step)
        free &= ~beyond
    return step
