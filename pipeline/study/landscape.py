"""An objective as a function of two parameters: its map, its gradients, and the paths of fits.

As Fig. 9 of arXiv:2309.04639, for any objective. All other parameters stand at their true values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..calibrate.likelihood import Likelihood
from ..calibrate.objective import Objective
from ..config.methods import Method
from ..config.models import Config
from ..config.studies import Landscape
from ..detector.geometry import DetectorGeometry
from ..parameters import table as parameter_table
from ..tables import Floats, Observables, Segments
from .closure import Closure, evaluated, is_likelihood

#: The learning rate of a fit by adam falls to this share of what it began with.
_LAST_RATE = 0.01
#: Starts lie this far from the target, relative to the border of the map.
_START = 0.85


def run(
    config: Config, segments: Segments, geometry: DetectorGeometry, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Maps of every configured objective over every configured pair of parameters.

    Raises `SelectionError` where every track is longer than the configured length.
    """
    settings = config.study.landscape
    closure = Closure.of(config, settings, segments, geometry, "landscape")
    plain, noisy = closure.data(), closure.data(0)
    maps = []
    # All methods on a pair before the next: they share the simulation of its grid.
    for pair in settings.pairs:
        for name in settings.methods:
            progress(f"{name}: {pair[0]}, {pair[1]}")
            method = _method(closure, name, pair, settings)
            objective = closure.objective(method, noisy)
            with_noise = settings.noise or is_likelihood(objective)
            data = noisy if with_noise else plain
            objective = closure.objective(method, data)
            maps.append(
                {
                    "method": name,
                    "objective": method.objective,
                    "optimiser": method.optimiser,
                    "noise": with_noise,
                    "likelihood": is_likelihood(objective),
                    "pair": list(pair),
                    **_map(closure, objective, pair, settings),
                }
            )
            maps[-1]["paths"] = _paths(closure, name, pair, maps[-1], data, settings)
    maps.sort(key=lambda m: settings.methods.index(m["method"]))
    return {**closure.described(), "settings": settings.model_dump(mode="json"), "maps": maps}


def table(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    lines = [f"{'method':<24}{'parameters':<46}{'lowest point of the map':<36}fits at it"]
    for m in result["maps"]:
        low = m["minimum"]
        where = "none" if low is None else ", ".join(f"{v:.6g}" for v in low["values"])
        ends = [path["converged"] for path in m["paths"]]
        lines.append(f"{m['method']:<24}{', '.join(m['pair']):<46}{where:<36}{sum(ends)} of {len(ends)} converged")
    return "\n".join(lines)


def _method(closure: Closure, name: str, pair: tuple[str, str], settings: Landscape) -> Method:
    method = closure.method(name, pair, {})
    if method.optimiser != "adam":
        return method
    steps = settings.adam_iterations
    # decay^(steps / decay_iterations) = _LAST_RATE
    falling = method.adam.model_copy(update={"decay": _LAST_RATE, "decay_iterations": float(steps)})
    return method.model_copy(update={"adam": falling, "max_iterations": steps})


def _map(closure: Closure, objective: Objective, pair: tuple[str, str], settings: Landscape) -> dict[str, Any]:
    """Costs and gradients `[y][x]` on a grid, and its lowest point."""
    x, y = (_axis(closure, objective, pair, k, settings) for k in (0, 1))
    costs: list[list[float | None]] = []
    gradients: list[list[list[float] | None]] = []
    for v in y:
        row = [evaluated(objective, {**closure.truth, pair[0]: float(u), pair[1]: float(v)}, pair) for u in x]
        costs.append([None if e is None else float(e.cost) for e in row])
        gradients.append([None if e is None else e.gradient.tolist() for e in row])
    known = np.array([[np.inf if c is None else c for c in row] for row in costs])
    low = np.unravel_index(int(np.argmin(known)), known.shape)
    at_truth = evaluated(objective, closure.truth, pair)
    return {
        "x": x.tolist(),
        "y": y.tolist(),
        "costs": costs,
        "gradients": gradients,
        "minimum": (
            {"values": [float(x[low[1]]), float(y[low[0]])], "cost": float(known[low])}
            if np.isfinite(known[low])
            else None
        ),
        "truth": [closure.truth[name] for name in pair],
        "cost_at_truth": None if at_truth is None else float(at_truth.cost),
    }


def _axis(closure: Closure, objective: Objective, pair: tuple[str, str], k: int, settings: Landscape) -> Floats:
    """`(points,)` values of a parameter: around the target, towards the ends of its range or by its uncertainty."""
    p, truth = parameter_table()[pair[k]], closure.truth[pair[k]]
    half = 0.5 * settings.reach * (p.high - p.low)
    if isinstance(objective, Likelihood):
        information = objective.information(closure.truth, pair)
        # The uncertainty of one with the other free; of one alone where the two cannot be told apart.
        apart = np.linalg.cond(information) < 1 / np.finfo(float).eps
        variance = np.linalg.inv(information)[k, k] if apart else 1 / max(information[k, k], np.finfo(float).tiny)
        half = settings.sigmas * float(np.sqrt(variance))
    # Beyond a physical bound there is no model.
    low = truth - half if truth - half > p.minimum else 0.5 * (truth + p.minimum)
    return np.linspace(low, min(truth + half, p.maximum), settings.points)


def _paths(
    closure: Closure,
    name: str,
    pair: tuple[str, str],
    drawn: dict[str, Any],
    data: Observables,
    settings: Landscape,
) -> list[dict[str, Any]]:
    """Fits of the two parameters from around the target: every iteration, and what came of it."""
    found = []
    for n in range(settings.starts):
        angle = 2 * np.pi * (n + 0.5) / settings.starts
        start = {
            parameter: truth + _START * step * (axis[-1] - truth if step > 0 else truth - axis[0])
            for parameter, truth, axis, step in zip(
                pair, drawn["truth"], (drawn["x"], drawn["y"]), (np.cos(angle), np.sin(angle)), strict=True
            )
        }
        method = _method(closure, name, pair, settings).model_copy(update={"initial": start})
        result = closure.fit(name, method, data)
        if isinstance(result, str):
            found.append({"values": [list(start.values())], "converged": False, "status": result, "iterations": 0})
            continue
        path = np.stack([result.history[parameter] for parameter in pair], axis=1)
        end = [next(p.value for p in result.parameters if p.name == parameter) for parameter in pair]
        found.append(
            {
                # A result may be the mean of the last iterations.
                "values": [*path.tolist(), end],
                "converged": result.converged,
                "status": result.status,
                "iterations": result.iterations,
            }
        )
    return found
