"""Where a fit begins: energies of segments that make about the charge that was recorded.

Shares of pixels in segments follow from the places of these alone. The charge of each segment is multiplied, again and
again, by the mean ratio of recorded to expected charge over the pixels that it reaches, weighted with its share: the
steps of the EM algorithm for Poisson data (Shepp and Vardi, IEEE Trans. Med. Imaging 1 (1982) 113), which keep charges
positive. A few of them suffice, as the likelihood decides in the end.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sparse

from ...simulate.model import ForwardModel
from ...simulate.pixel_likelihood import Recorded
from ...tables import Floats, Ints
from .part import Part, steepness
from .tracks import Chains

_STEPS = 8
#: Charges change by at most this factor in one step.
_MOST = 3.0
#: Of the threshold: what a pixel without a hit is taken to have seen, if more is expected.
_UNSEEN = 0.7


def with_recorded_charge(part: Part, begun: Chains, values: Mapping[str, float]) -> Chains:
    """Tracks at the places of `begun`, with energies after the charge of the hits of `part`."""
    model = ForwardModel(begun.segments, part.geometry, part.settings, part.pixels)
    plan = model.plan(values)
    assert part.settings.noise is not None
    recorded = Recorded(model, plan, part.data, part.settings.noise)
    seen = np.zeros(len(plan.event))
    charge = part.pixels.charge(recorded.adc, plan.channel[recorded.pixel])
    np.add.at(seen, recorded.pixel, charge)
    threshold = part.pixels.of(plan.channel)[0]
    expected = _shares(model, values)
    factor = np.ones(len(begun.track))
    reached = np.asarray(expected.sum(axis=0))
    for _ in range(_STEPS):
        total = expected @ factor
        # Silence tells that there was less than the threshold, not how much.
        wanted = np.where(seen > 0, np.maximum(seen, 0.5 * threshold), np.minimum(total, _UNSEEN * threshold))
        ratio = wanted / np.maximum(total, 1.0)
        change = (expected.T @ ratio) / np.maximum(reached, 1.0)
        change[reached < 0.05 * reached.mean()] = 1.0
        factor *= np.clip(change, 1 / _MOST, _MOST)
    step = np.zeros(begun.size)
    recombination = part.settings.recombination
    slope = steepness(begun.segments.dEdx, model.complete(values), recombination)
    dedx = begun.segments.dEdx * np.exp(np.log(factor) / slope)
    # Once more at the dE/dx that came out: recombination bends the way from charge to energy.
    slope = 0.5 * (slope + steepness(dedx, model.complete(values), recombination))
    step[begun.energy_columns] = np.log(factor) / slope
    now = begun
    for part_of_step in np.linspace(0, 1, 6)[1:] - np.linspace(0, 1, 6)[:-1]:
        now = now.moved(part_of_step * step)  # a step is bounded
    return now


def _shares(model: ForwardModel, values: Mapping[str, float]) -> sparse.csr_array:
    """`(pixels, segments)` charge [electrons] that each segment leaves on each pixel in the end."""
    plan, full = model.plan(values), model.complete(values)
    rows: list[Ints] = []
    charges: list[Floats] = []
    for block in plan.blocks:
        made = model.charges(plan, block, full, ())
        charges.append((made.charge * made.weights[:, 0, 0]).cpu().numpy().astype(np.float64))
        rows.append(np.repeat(np.arange(*block), np.diff(plan.first[block[0] : block[1] + 1])))
    shape = (len(plan.event), len(model.segments))
    entries = (np.concatenate([np.zeros(0), *charges]), (np.concatenate(rows), plan.segment.astype(np.int64)))
    return sparse.csr_array(sparse.coo_array(entries, shape=shape))
