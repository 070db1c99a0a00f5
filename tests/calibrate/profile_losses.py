"""How the losses see the parameters: `python -m tests.calibrate.profile_losses` prints the tables of docs/physics.md.

One batch of 1 GeV muons with the published cuts, simulated at nominal values; each parameter is moved on its own.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.calibrate.loss_objective import MeanEventLoss
from pipeline.calibrate.losses import LOSSES
from pipeline.calibrate.objective import Evaluation, MatchedResiduals, Objective
from pipeline.config.methods import Loss, Method
from pipeline.config.models import Checks, Select
from pipeline.parameters import nominal_values
from pipeline.select.cuts import apply_cuts
from pipeline.simulate.batches import divide
from pipeline.simulate.observe import PixelObservables
from pipeline.storage.segments import read_segments
from pipeline.tables import Linearised, Observables
from tests.conftest import data_folder
from tests.simulate.deposits import MODULE0, model

NAMES = ("longitudinal_diffusion", "electron_lifetime", "electric_field", "birks_ab")
SIDES = (-0.2, -0.1, -0.05, -0.02, 0.02, 0.05, 0.1, 0.2)
#: Where the minimum is looked for, in steps of 0.5 %.
GRID = np.linspace(-0.2, 0.2, 81)
#: The model is moved away from the anode by these [cm].
SHIFTS = (0.1, 0.3, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)


class Remembered:
    """A model that simulates a point once."""

    def __init__(self, inner: PixelObservables) -> None:
        self.inner = inner
        self.known: dict[Any, Linearised] = {}

    def observe(self, values: Mapping[str, float]) -> Observables:
        return self.inner.observe(values)

    def linearise(self, values: Mapping[str, float], names: tuple[str, ...]) -> Linearised:
        key = (tuple(sorted(values.items())), names)
        if key not in self.known:
            self.known[key] = self.inner.linearise(values, names)
        return self.known[key]


def muon_batch() -> PixelObservables:
    """The third of the batches of the muons that the published cuts leave."""
    path = data_folder() / "g4_muon_1gev_100ev.h5"
    segments = read_segments(path, checks=Checks(), geometry=MODULE0).segments
    selected = apply_cuts(segments, Select(), MODULE0, seed=1, where="muons").segments
    division = divide(selected, model(selected, threads=2).plan({}), 100.0, 1)
    return PixelObservables(model(selected.take(division.segments == 2), threads=2))


def objectives(simulation: Remembered) -> dict[str, Objective]:
    """All losses with default settings, Soft-DTW also of times, and the matched residuals."""
    data, settings, method = simulation.observe({}), Loss(), Method()
    found: dict[str, Objective] = {name: MeanEventLoss(simulation, data, f, settings) for name, f in LOSSES.items()}
    found["soft_dtw, times"] = MeanEventLoss(
        simulation, data, LOSSES["soft_dtw"], Loss(adc_weight=0.0, time_weight=1.0)
    )
    scales = np.array([method.charge_scale_adc, method.time_scale_us])
    found["matched_residuals"] = MatchedResiduals(
        simulation, data, scales, method.fair_scale, method.threshold_noise_electrons
    )
    return found


def at(objective: Objective, name: str, change: float) -> Evaluation:
    """The objective with one parameter off its nominal value by the fraction `change`."""
    return objective.evaluate({name: nominal_values()[name] * (1 + change)}, (name,))


def reach(objective: Objective) -> str:
    """The largest shift along the drift up to which the gradient points back, and that there
    against that at 1 cm."""
    slopes = {shift: objective.evaluate({"shift_z": shift}, ("shift_z",)).gradient[0] for shift in SHIFTS}
    right = [shift for k, shift in enumerate(SHIFTS) if all(slopes[s] > 0 for s in SHIFTS[: k + 1])]
    return f"{right[-1]:g} cm, {slopes[right[-1]] / slopes[1.0]:.2g}" if right else "none"


def main() -> None:
    simulation = Remembered(muon_batch())
    data = simulation.observe({})
    batch = simulation.inner.model.segments
    print(
        f"{batch.length.sum():.0f} cm, {len(np.unique(batch.event_id))} events, {len(data)} hits, "
        f"at most {np.unique(data.event, return_counts=True)[1].max()} in one\n"
    )
    print("Minimum, and changes at which the gradient points the wrong way; reach: see `reach`.\n")
    print(f"| loss | CPU ms | {' | '.join(NAMES)} | reach |\n|---|---|{'---|' * len(NAMES)}---|")
    for label, objective in objectives(simulation).items():
        at(objective, "birks_ab", 0.02)
        seconds = []
        for _ in range(3):
            start = time.process_time()
            at(objective, "birks_ab", 0.02)
            seconds.append(time.process_time() - start)
        cells = []
        for name in NAMES:
            cost = [at(objective, name, change).cost for change in GRID]
            wrong = [f"{change:+.0%}" for change in SIDES if at(objective, name, change).gradient[0] * change <= 0]
            cells.append(f"{GRID[int(np.argmin(cost))]:+.1%} {', '.join(wrong) or 'none'}")
        milliseconds = 1e3 * statistics.median(seconds)
        print(f"| `{label}` | {milliseconds:.1f} | {' | '.join(cells)} | {reach(objective)} |", flush=True)


if __name__ == "__main__":
    main()
