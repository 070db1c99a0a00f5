"""Charge per length of tracks: nothing is lost or counted twice, and an undisturbed lifetime comes back."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.config.models import Config
from pipeline.detector.argon import drift_velocity
from pipeline.parameters import nominal_values
from pipeline.simulate.model import ForwardModel
from pipeline.simulate.setup import forward_model
from pipeline.storage.detector import load_geometry
from pipeline.study.dqdx import Pieces, pieces_of
from pipeline.study.exponential import fit_exponential
from pipeline.tables import Segments
from tests.tracks import straight_track

MUONS = (13, -13)


def model_of(*tracks: Segments) -> ForwardModel:
    return forward_model(Segments.concatenate(list(tracks)), load_geometry("module0"), Config())


def parallel(event: int, distance: float, **more) -> Segments:
    """A track of 10 cm at one distance from the anode at z = 30.431 cm."""
    return straight_track(event=event, start=(-5.0, 3.1, 30.431 - distance), direction=(1, 0.3, 0), **more)


def collected(model: ForwardModel, pieces: Pieces, values: dict[str, float]) -> np.ndarray:
    plan = model.plan(values)
    return pieces.charge_per_length(plan.event, plan.channel, model.totals(values))


@pytest.mark.parametrize("tau", [600.0, 2200.0])
def test_without_noise_and_threshold_the_lifetime_comes_back(tau):
    values = {**nominal_values(), "electron_lifetime": tau}
    model = model_of(*(parallel(k, distance) for k, distance in enumerate(np.linspace(2, 29, 7))))
    pieces = pieces_of(model, values, MUONS, 100.0)
    assert len(pieces.length) == 7  # one whole track each
    dqdx = collected(model, pieces, values)
    found = fit_exponential(pieces.time, dqdx, 0.01 * dqdx)
    # The model leaves out what spreads beyond its reach, less than 1e-4 of the charge.
    assert found.rate == pytest.approx(1 / tau, abs=1e-4 / np.ptp(pieces.time))
    # Birks' law at 2.1 MeV/cm and the drift from the plane where the response starts.
    quenched = 0.8 / (1 + 0.0486 * 2.1 / (0.5 * 1.38)) * 2.1e6 / 23.6
    assert np.exp(found.log_amplitude) == pytest.approx(quenched, rel=1e-3)
    velocity = drift_velocity(0.5, model.geometry.temperature)
    np.testing.assert_allclose(pieces.time, (np.linspace(2, 29, 7) - 0.5) / velocity, rtol=1e-6)


def test_pieces_share_the_charge_and_the_length_of_a_track():
    model = model_of(straight_track(start=(-8, 4.0, 3.0), direction=(1, 0.2, 0.9), segments=20))
    values = nominal_values()
    whole, cut = (pieces_of(model, values, MUONS, length) for length in (100.0, 3.0))
    assert len(cut.length) == 6
    np.testing.assert_allclose(cut.length, 20 / 6)
    one, parts = (p.length @ collected(model, p, values) for p in (whole, cut))
    assert parts == pytest.approx(one, rel=1e-12)
    assert one == pytest.approx(model.totals(values).sum(), rel=1e-4)
    # From z = 3 towards larger z: ever nearer to the anode.
    assert (np.diff(cut.time) < 0).all()
    # Of inner pieces each has its share, up to the pixel at each end.
    inner = collected(model, cut, values)[1:-1]
    assert np.abs(inner / inner.mean() - 1).max() < 0.5 * 0.4434 / (20 / 6) * 2


def test_tracks_of_other_kinds_have_no_pieces_and_a_shared_pixel_goes_to_who_leaves_most():
    muon = parallel(0, 10.0)
    proton = parallel(0, 10.0, traj=1, pdg=2212).replace(dE=50 * muon.dE, dEdx=50 * muon.dEdx)
    other = parallel(0, 10.0, traj=2, pdg=-13).replace(dE=3 * muon.dE, dEdx=3 * muon.dEdx)
    model = model_of(muon, proton, other)
    pieces = pieces_of(model, nominal_values(), MUONS, 100.0)
    assert len(pieces.length) == 2
    assert set(pieces.piece) == {1}  # all pixels lie under the second muon, with three times the energy
    assert len(pieces_of(model, nominal_values(), (211,), 100.0).length) == 0


def test_a_gap_ends_a_piece():
    track = straight_track(start=(-8, 4.0, 10.0), segments=16)
    model = model_of(track.take(np.arange(16) != 7))
    pieces = pieces_of(model, nominal_values(), MUONS, 3.5)
    np.testing.assert_allclose(pieces.length, [3.5, 3.5, 4.0, 4.0])


def test_pieces_in_a_cathode_or_beside_the_pixels_do_not_count():
    # Cathodes of 0.3175 cm about z = 0; pixels end at x = 31.039 cm.
    crossing = straight_track(start=(3.0, 4.0, -4.5), direction=(0, 0.2, 1), segments=9, step=np.hypot(1, 0.2))
    leaving = straight_track(event=1, start=(28.539, 4.0, 10.0), segments=5)
    model = model_of(crossing, leaving)
    pieces = pieces_of(model, nominal_values(), MUONS, 0.999)
    # Eight of nine, and two of five.
    assert len(pieces.length) == 10
    assert pieces.piece.max() == 9 and (pieces.piece == -1).any()
