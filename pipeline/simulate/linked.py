"""The likelihood of hits as a function of parameters *and* deposits: where each segment lies and what it lost.

Every packet of charge belongs to one segment. The derivatives of the charge of a pixel to the energy of a segment and
to shifts of its nodes are those of its packets to the parameters `LOCAL`, summed over the packets of one segment alone;
weighted with the place f of a node in its segment they are those to a shift of its end. So one look-up gives the
derivatives to everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse
import torch
from torch import Tensor

from ..errors import FitError
from ..tables import Bools, Floats, Ints, Observables
from .charge import PixelCharges, Runs, in_ranges
from .first_passage import NO_STRAY, Chains, Charges, Stray
from .model import ForwardModel
from .pixel_information import Steering
from .pixel_likelihood import Recorded, check_noise, pulled
from .plan import Plan
from .tensors import segment_sum

#: Parameters that stand for what can happen to a segment.
LOCAL = ("dedx_scale", "shift_x", "shift_y", "shift_z")
#: What a segment may do, in the order of columns: ln(dE/dx); shifts x, y, z of all nodes; of nodes by their place.
MOVES = ("energy", "x", "y", "z", "place_x", "place_y", "place_z")

#: Rate of outliers while noise is widened: no hit is given up before the tracks have found their places.
_HARDLY = 1e-300


@dataclass(frozen=True)
class Linked:
    """Log-probability of data, its derivatives, and rows whose products are the Gauss-Newton form of the information.

    `of_pixels` `(p,)` are those of the pixels of the plan, 0 of the ignored, and `log` is their sum; so is `score` that
    of `scores` `(p, P)` to the parameters. `local_score` `(7 n,)` of `MOVES` of each of n segments, segment by segment.
    `rows` `(r, P)` and the sparse `local_rows` `(r, 7 n)`: the information is the product of each with each, summed
    over rows. `hits` were explained, `outliers` were not. `weights` `(h, 2)` are those of times and charges.
    """

    of_pixels: Floats
    scores: Floats
    local_score: Floats
    rows: Floats
    local_rows: sparse.csr_array
    hits: int
    outliers: int
    weights: Floats

    @property
    def log(self) -> float:
        """Log-probability of all data but the ignored."""
        return float(self.of_pixels.sum())

    @property
    def score(self) -> Floats:
        """`(P,)` derivatives of `log` to the parameters."""
        return np.asarray(self.scores.sum(axis=0))


def linked_probability(
    model: ForwardModel,
    data: Observables,
    values: Mapping[str, float],
    names: tuple[str, ...],
    *,
    ignored: Bools | None = None,
    widened: float = 1.0,
    weights: Floats | None = None,
    plan: Plan | None = None,
    stray: Stray = NO_STRAY,
) -> Linked:
    """The likelihood of `probability`, with derivatives to the parameters `names` and to each segment of the model.

    Rows of data that are `ignored` `(h,)` take their whole pixels out: what they saw is not of these segments. Noise is
    `widened` times as wide as that of the model, and there are no outliers then: that finds the way from afar. With
    the `weights` of a point near, rows have those: they are smooth where a hit is about to become an outlier. Pixels
    may get `stray` charge. A `plan` of other places of the segments, moved, goes before the model's own. Raises as
    `probability` does, and `FitError` for data of a discriminator with noise.
    """
    noise = check_noise(model, data)
    if noise.discriminator > 0:
        raise FitError(
            "segments are fitted to data of a discriminator without noise; set readout.noise.discriminator_electrons "
            "to 0, or take method likelihood with known segments."
        )
    plan = model.plan(values) if plan is None else plan
    recorded = Recorded(
        model, plan, data, replace(noise, reset=widened * noise.reset, sampling=widened * noise.sampling)
    )
    used = _used(plan, data, ignored)
    values = model.complete(values)

    moved = (*(n for n in names if n not in LOCAL), *LOCAL)
    columns = [moved.index(n) for n in names]

    held = None if weights is None else model.tensor(weights[recorded.rows])

    def run(block: tuple[int, int]) -> Linked:
        owned = _Owned.of(model, plan, block, model.charges(plan, block, values, moved), columns)
        of_hits = None if held is None else held[recorded.hits_of(block)]
        chains = replace(recorded.chains(block), stray=stray)
        if widened > 1:
            chains = replace(chains, outlier_rate=_HARDLY)
        return _block(owned, chains, used[slice(*block)], of_hits)

    parts = model.map_blocks(run, plan.blocks)
    width = len(MOVES) * len(model.segments)
    shares = np.ones((len(data), 2))
    shares[recorded.rows] = np.concatenate([np.zeros((0, 2)), *(p.weights for p in parts)])
    return Linked(
        of_pixels=np.concatenate([np.zeros(0), *(p.of_pixels for p in parts)]),
        scores=np.concatenate([np.zeros((0, len(names))), *(p.scores for p in parts)]),
        local_score=sum((p.local_score for p in parts), np.zeros(width)),
        rows=np.concatenate([np.zeros((0, len(names))), *(p.rows for p in parts)]),
        local_rows=sparse.vstack([sparse.csr_array((0, width)), *(p.local_rows for p in parts)], format="csr"),
        hits=sum(p.hits for p in parts),
        outliers=sum(p.outliers for p in parts),
        weights=shares,
    )


def _used(plan: Plan, data: Observables, ignored: Bools | None) -> Bools:
    """`(p,)` which pixels of the plan count."""
    used = np.ones(len(plan.event), dtype=bool)
    if ignored is None or not ignored.any():
        return used
    gone = set(zip(data.event[ignored].tolist(), data.channel[ignored].tolist(), strict=True))
    for i, key in enumerate(zip(plan.event.tolist(), plan.channel.tolist(), strict=True)):
        used[i] = key not in gone
    return used


@dataclass(frozen=True)
class _Owned:
    """The charge of a block of pixels by segments: `charges` with derivatives to the parameters and, in the last
    columns, to the `MOVES` of the segment that each packet belongs to, in `runs` of the same `segment` `(runs,)`;
    `segments` in all."""

    charges: PixelCharges
    runs: Runs
    segment: Ints
    segments: int

    @staticmethod
    def of(
        model: ForwardModel, plan: Plan, block: tuple[int, int], charges: PixelCharges, columns: list[int]
    ) -> _Owned:
        """`charges` have derivatives to `LOCAL`, the last ones, and in `columns` those to the parameters."""
        assert charges.tangents is not None
        nodes, node = plan.nodes_of(block)
        outward, place = (model.tensor(v)[:, None] for v in (nodes.outward, nodes.place))
        values = charges.tangents.values
        energy, x, y, z = values[:, :, -len(LOCAL) :].unbind(2)
        shifts = torch.stack([x, y, z * outward], dim=2)
        values = torch.cat([values[:, :, columns], energy[:, :, None], shifts, shifts * place[:, :, None]], dim=2)
        owned = replace(charges, tangents=replace(charges.tangents, values=values))
        first = plan.first[block[0] : block[1] + 1] - plan.first[block[0]]
        segment = nodes.segment[node]
        begins = np.ones(len(segment) + 1, dtype=bool)
        begins[1:-1] = segment[1:] != segment[:-1]
        begins[first] = True
        packet = np.flatnonzero(begins)
        runs = Runs(torch.from_numpy(np.searchsorted(packet, first)), torch.from_numpy(packet))
        return _Owned(owned, runs, segment[packet[:-1]].astype(np.int64), len(model.segments))

    def at(self, pixel: Tensor, time: Tensor, orders: int) -> tuple[Tensor, Tensor, list[_Slopes]]:
        """Charge and current of pixels at times `(r,)`, and the slopes of the first `orders` of them."""
        values, slopes = self.charges.sums(self.runs, pixel, time, orders)
        counts = self.runs.counts(pixel)
        charge, current = (v.contiguous() for v in segment_sum(values, counts).unbind(1))
        segment = self.segment[in_ranges(self.runs.first, pixel).numpy()]
        return charge, current, _slopes(slopes, counts, segment, self.segments)

    def in_the_end(self) -> _Slopes:
        """The slopes of the charge that pixels collect in the end."""
        slopes = segment_sum(self.charges.terms_in_the_end(), self.runs.packet.diff())
        return _slopes(slopes[:, None], self.runs.first.diff(), self.segment, self.segments)[0]


@dataclass(frozen=True)
class _Slopes:
    """Derivatives of values `(r,)` to the parameters `(r, P)`, and to moves of segments `(r, 7 n)`."""

    of_parameters: Floats
    of_segments: sparse.csr_array


def _slopes(of_runs: Tensor, counts: Tensor, segment: Ints, segments: int) -> list[_Slopes]:
    """The slopes of each order `(m, orders, P + 7)` of runs; each value has `counts` `(r,)` of these, one after the
    other."""
    columns = (len(MOVES) * segment[:, None] + np.arange(len(MOVES))).ravel()
    start = np.concatenate([[0], np.cumsum(counts.numpy())]) * len(MOVES)
    shape = (len(counts), len(MOVES) * segments)
    found = []
    for of_order in of_runs.unbind(1):
        parameters = segment_sum(of_order[:, : -len(MOVES)], counts).numpy()
        moves = of_order[:, -len(MOVES) :].reshape(-1).numpy().astype(np.float64)
        found.append(_Slopes(parameters, sparse.csr_array((moves, columns, start), shape=shape)))
    return found


def _block(owned: _Owned, c: Chains, used: Bools, weights: Tensor | None) -> Linked:
    """The likelihood of a block of pixels; `weights` are those of its hits, in their order."""
    crossing, end = c.times()
    pixel = torch.cat([c.pixel] * (2 if c.tick else 1))
    q, current, of_crossing = owned.at(pixel, crossing, 2)
    q_end, current_end, of_end = owned.at(pixel, end, 2 if c.tick else 1)
    at = Charges(q, current, q_end, current_end, owned.charges.total())
    slopes = {
        **dict(zip(("crossing", "current"), of_crossing, strict=True)),
        **dict(zip(("end", "end_current"), of_end, strict=False)),
        "total": owned.in_the_end(),
    }
    found, pulls = pulled(c, at)
    use = torch.from_numpy(used)
    use_hit = use[c.pixel]
    of_values = use_hit.repeat(2 if c.tick else 1)
    scores, local = np.zeros((len(used), owned.charges.parameters - len(MOVES))), np.zeros(len(MOVES) * owned.segments)
    for name, pull in pulls.items():
        if name not in slopes:  # the current at the end of a hold, of which real-valued data know nothing
            continue
        weight = (pull * (use if name == "total" else of_values)).cpu().numpy().astype(np.float64)
        of = np.arange(len(used)) if name == "total" else pixel.numpy()
        np.add.at(scores, of, weight[:, None] * slopes[name].of_parameters)
        local += slopes[name].of_segments.T @ weight
    outliers = int((found.explained[use_hit] < 0.5).sum())
    shares = found.weights
    if weights is not None:
        found = replace(found, explained=torch.ones_like(found.explained), clean=weights)
    root = Steering.of(c, at, found, clock=c.tick)
    rows, local_rows = _rows(c, root, slopes, use, use_hit)
    of_pixels = found.ends.detach().clone().index_add_(0, c.pixel, found.hits.detach())
    return Linked(
        of_pixels=(of_pixels * use).numpy(),
        scores=scores,
        local_score=local,
        rows=rows,
        local_rows=local_rows,
        hits=int(use_hit.sum()) - outliers,
        outliers=outliers,
        weights=shares.numpy(),
    )


def _rows(
    c: Chains, root: Steering, slopes: Mapping[str, _Slopes], use: Tensor, use_hit: Tensor
) -> tuple[Floats, sparse.csr_array]:
    """The rows of `Steering`, to parameters and to moves of segments."""
    n, pixels = len(c.pixel), len(c.last)
    time, charge = (root.time * use_hit).numpy(), (root.charge * use_hit).numpy()
    known, silence = root.known.numpy(), (root.silence * use).numpy()
    hit, pixel = np.arange(n), np.arange(pixels)
    before, last = c.previous.numpy(), c.last.numpy()
    later, ended = before >= 0, last >= 0
    # Entries (row, hit, coefficient) for the charge at the crossing, and at the end of the hold.
    to_crossing = [(hit, hit, -time), (n + hit, hit, -charge * known)]
    to_end = [
        (hit[later], before[later], time[later]),
        (n + hit, hit, charge),
        (n + hit[later], before[later], -(charge * (1 - known))[later]),
        (2 * n + pixel[ended], last[ended], silence[ended]),
    ]
    to_total = [(2 * n + pixel, pixel, -silence)]
    height = 2 * n + pixels
    # Rows of pixels without any chance to fire tell nothing.
    keep = np.concatenate([time > 0, charge > 0, silence > 1e-12 / c.reset])
    parts = []
    for name, entries in (("crossing", to_crossing), ("end", to_end), ("total", to_total)):
        row, column, value = (np.concatenate(v) for v in zip(*entries, strict=True))
        wide = slopes[name].of_parameters.shape[0]
        factor = sparse.csr_array((value, (row, column)), shape=(height, wide))[keep]
        parts.append((factor @ slopes[name].of_parameters, factor @ slopes[name].of_segments))
    return sum(p[0] for p in parts), sparse.csr_array(sum((p[1] for p in parts[1:]), parts[0][1]))
