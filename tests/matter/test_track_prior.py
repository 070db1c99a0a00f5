"""Mixtures of hypotheses about a track: against their parts, finite differences, and tracks drawn under one of them."""

import numpy as np
import pytest

from pipeline.matter.energy_prior import EnergyPrior
from pipeline.matter.straggling import sample_loss
from pipeline.matter.track_prior import ParticleHypothesis, TrackPrior, both_ways
from pipeline.tables import Floats, Ints

STOPS, CROSSES = ParticleHypothesis(13), ParticleHypothesis(13, kinetic=1000.0)


def _tracks(pieces: int, tracks: int) -> tuple[Ints, Floats, Floats, Floats]:
    """Straight tracks in pieces of 1 cm: track, length, to_end, track_length."""
    to_end = np.tile(pieces - 0.5 - np.arange(pieces), tracks)
    return np.repeat(np.arange(tracks), pieces), np.ones(pieces * tracks), to_end, np.full(tracks, float(pieces))


def _drawn(prior: TrackPrior, seed: int) -> Floats:
    """u of losses drawn under the first hypothesis."""
    layers = prior.layers[0]
    b_over_most = layers.shape.b / layers.most
    loss = sample_loss(
        np.random.default_rng([19, seed]), layers.mean, layers.xi, b_over_most * layers.most, layers.most
    )
    return np.log(loss / layers.length)


def test_one_hypothesis_is_a_sum_over_pieces() -> None:
    track, length, to_end, whole = _tracks(6, 2)
    prior = TrackPrior.of([STOPS], track, length, to_end, whole)
    u = prior.start() + 0.1
    value, first, second = EnergyPrior(13).layers_at(length, to_end).log_density(u)
    found = prior.log_density(u)
    np.testing.assert_allclose(found.value, value.reshape(2, 6).sum(axis=1))
    np.testing.assert_allclose(found.first, first)
    np.testing.assert_allclose(found.second, second)
    np.testing.assert_array_equal(found.posterior, 1)


def test_a_mixture_is_the_weighted_sum_of_densities() -> None:
    tracks = _tracks(3, 1)
    probability = np.array([[0.3, 0.7]])
    u = np.array([0.6, 0.9, 1.6])
    alone = [TrackPrior.of([h], *tracks).log_density(u).value[0] for h in (STOPS, CROSSES)]
    mixed = TrackPrior.of([STOPS, CROSSES], *tracks, probability=probability)
    assert mixed.log_density(u).value[0] == pytest.approx(np.log(0.3 * np.exp(alone[0]) + 0.7 * np.exp(alone[1])))


def test_derivatives() -> None:
    track, length, to_end, whole = _tracks(4, 3)
    # Not to the very end, where the slope has a jump: pieces that would go on beyond it are held there.
    to_end, whole = to_end + 0.2, whole + 0.4
    kinds = (*both_ways(STOPS), ParticleHypothesis(211, probability=0.2), CROSSES)
    prior = TrackPrior.of(kinds, track, length, to_end, whole)
    u = prior.start() + np.random.default_rng([19, 5]).normal(0, 0.15, len(track))
    here, h = prior.log_density(u), 1e-6
    for i in range(len(u)):
        step = np.eye(len(u))[i] * h
        slope = (prior.log_density(u + step).value - prior.log_density(u - step).value) / (2 * h)
        assert slope[track[i]] == pytest.approx(here.first[i], rel=1e-5, abs=1e-5)
    # All particles go on for a little longer, in their own direction; energies grow as their ranges do.
    moved, h = [], 1e-4
    for way in (h, -h):
        layers = [EnergyPrior(k.pdg).layers_at(length, _left(part) + way) for k, part in zip(kinds, prior.layers)]
        moved.append(TrackPrior(kinds, track, prior.log_probability, tuple(layers)).log_density(u).value)
    np.testing.assert_allclose(prior.by_end(u), (moved[0] - moved[1]) / (2 * h), rtol=1e-4, atol=1e-5)


def _left(layers) -> Floats:  # type: ignore[no-untyped-def]
    return layers.prior.all_losses.range(layers.kinetic)


def test_energy_falls_along_the_track_in_its_direction() -> None:
    track, length, to_end, whole = _tracks(30, 1)
    forward, backward = (TrackPrior.of([k], track, length, to_end, whole).layers[0].kinetic for k in both_ways(CROSSES))
    assert (np.diff(forward) < 0).all()
    np.testing.assert_allclose(backward, forward[::-1], rtol=1e-9)
    # 2.3 MeV/cm.
    assert forward[0] - forward[-1] == pytest.approx(29 * 2.27, rel=0.02)


def test_the_direction_of_stopping_particles_is_seen() -> None:
    tracks = _tracks(12, 200)
    prior = TrackPrior.of(both_ways(ParticleHypothesis(2212)), *tracks)
    right = prior.log_density(_drawn(prior, 6)).posterior[:, 0]
    assert right.mean() > 0.98


def test_probabilities_of_hypotheses_are_calibrated() -> None:
    """Of short tracks that are muons with probability x, a share x is: within 4 errors."""
    tracks = _tracks(2, 3000)
    kinds = (ParticleHypothesis(13, kinetic=150.0), ParticleHypothesis(211, kinetic=100.0))
    drawn = [TrackPrior.of(kinds[::way], *tracks) for way in (1, -1)]
    given = np.concatenate([drawn[0].log_density(_drawn(drawn[i], 7 + i)).posterior[:, 0] for i in range(2)])
    true = np.repeat([1.0, 0.0], 3000)
    for low, high in ((0.2, 0.4), (0.4, 0.6), (0.6, 0.8)):
        some = (given > low) & (given < high)
        assert some.sum() > 50
        assert true[some].mean() == pytest.approx(given[some].mean(), abs=4 * 0.5 / np.sqrt(some.sum()))


def test_hypotheses_are_needed() -> None:
    tracks = _tracks(2, 1)
    with pytest.raises(ValueError, match="every track needs a hypothesis"):
        TrackPrior.of([], *tracks)
    with pytest.raises(ValueError, match="every track needs a hypothesis"):
        TrackPrior.of([STOPS], *tracks, probability=np.zeros((1, 1)))
