"""The forward model in reconstruction: what pieces give to hits, and curves that follow from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config.reconstruction import Curves
from pipeline.reconstruct.charge import shared_out
from pipeline.reconstruct.collected import collect
from pipeline.reconstruct.curve import scattering_angle
from pipeline.reconstruct.polyline import cut_evenly, foot, lengths
from pipeline.reconstruct.refine import State, refine
from pipeline.simulate.model import ForwardModel

from .hits_of import electronics, hits_of, segments_of

#: A gentle bend, at an angle to everything.
S = np.linspace(0, 12, 49)
BENT = np.stack([-3 + 0.7 * S, 5 + 0.6 * S + 0.004 * S**2, 14 + 0.4 * S], axis=1)
PIECES = segments_of(cut_evenly(BENT, 0.5))


@pytest.fixture(scope="module")
def hits():
    return hits_of(PIECES)


def test_what_is_collected_of_all_pieces_is_what_was_recorded(hits):
    e = electronics()
    model = ForwardModel(PIECES, e.geometry, e.settings, e.pixels)
    found = collect(model, e.values, hits)
    threshold = e.geometry.readout.threshold
    n = len(hits)
    # Noiseless hits: the threshold is reached at the time of the hit, and the rest comes in the hold.
    assert found.rising.total(n) == pytest.approx(threshold, rel=1e-3)
    assert found.held.total(n) + threshold == pytest.approx(hits.charge, rel=1e-3)
    # Nothing gets lost between hits, holds and what is left.
    in_all = found.rising.charge.sum() + found.held.charge.sum() + found.left.charge.sum()
    assert in_all == pytest.approx(model.totals(e.values).sum(), rel=1e-3)
    assert (found.left.total(len(found.event)) < threshold * 1.001).all()


def test_slopes_are_differences_of_moved_pieces(hits):
    e = electronics()
    piece, step = 10, 1e-3
    here = collect(ForwardModel(PIECES, e.geometry, e.settings, e.pixels), e.values, hits).rising
    for axis in range(3):
        totals = []
        for sign in (-1, 1):
            shift = np.zeros((len(PIECES), 3))
            shift[piece, axis] = sign * step
            moved = PIECES.replace(start=PIECES.start + shift, end=PIECES.end + shift)
            model = ForwardModel(moved, e.geometry, e.settings, e.pixels)
            totals.append(collect(model, e.values, hits).rising.total(len(hits)))
        expected = (totals[1] - totals[0]) / (2 * step)
        own = here.piece == piece
        slope = np.bincount(here.row[own], here.slope[own, axis], minlength=len(hits))
        assert slope == pytest.approx(expected, rel=0.02, abs=0.01 * np.abs(expected).max())


def test_a_displaced_line_finds_the_bent_track_and_its_charge(hits):
    e = electronics()
    start = cut_evenly(BENT[[0, -1]] + np.array([0.06, -0.08, 0.05]), 0.5)
    h = lengths(start)
    state = State((start,), (40e3 * h,), np.array([0]), np.array([scattering_angle(600.0)]))
    refined = refine(state, hits, e, Curves())
    found = foot(PIECES.centre[2:-2], refined.state.vertices[0])
    assert np.sqrt(np.mean(found.distance**2)) < 0.012
    assert np.nanmedian(refined.chi2) < 0.2
    # Charge per length is that of the deposits, up to the ends.
    density = refined.state.charge[0] / lengths(refined.state.vertices[0])
    assert np.median(density[2:-2]) == pytest.approx(2.1 * 1e6 / 23.6 * _escape(e), rel=0.02)


def test_recorded_charge_is_shared_out_whole_whatever_charge_was_assumed(hits):
    e = electronics()
    h = lengths(BENT[::2])
    owner = np.zeros(len(hits), dtype=np.int64)
    charges = []
    for density in (5e4, 6e4):
        state = State((BENT[::2],), (density * h,), np.array([0]), np.array([0.004]))
        found = collect(e.model(state), e.values, hits)
        pieces = e.deposits(state)
        charges.append(shared_out(found, hits, owner, pieces.traj_id, lambda rows: np.zeros(len(rows), dtype=np.int64)))
    # The assumed charge cancels: what was recorded says how much was not.
    assert charges[1] == pytest.approx(charges[0], rel=1e-3)
    true = PIECES.dE.sum() * 1e6 / 23.6 * _escape(e) * np.exp(-(30.431 - 16.0 - 0.5) / 0.15965 / 2200)
    assert charges[0].sum() == pytest.approx(true, rel=0.01)
    assert charges[0].sum() > hits.charge.sum()
    # A hit far away, which the model does not reach, goes where it is told to.
    far = replace(hits, pixel_x=np.where(np.arange(len(hits)) == 0, 3, hits.pixel_x))
    order = np.lexsort((far.hit, far.pixel_y, far.pixel_x, far.tpc))
    far = replace(far, **{n: getattr(far, n)[order] for n in far.COLUMNS})
    found = collect(e.model(state), e.values, far)
    told = shared_out(found, far, owner, pieces.traj_id, lambda rows: np.full(len(rows), 5))
    without = shared_out(found, far, np.where(far.pixel_x == 3, -1, owner), pieces.traj_id, lambda rows: rows)
    assert (told - without)[5] == pytest.approx(far.charge[far.pixel_x == 3][0], rel=1e-9)
    assert np.delete(told - without, 5) == pytest.approx(0, abs=1e-6)


def _escape(e):
    """Fraction of the electrons of the deposits that escapes recombination."""
    v = e.values
    return v["birks_ab"] / (1 + v["birks_kb"] * 2.1 / (v["electric_field"] * v["density"]))
