"""The prior of dE/dx against losses that the generator's routine draws, and against the mean and variance of theory."""

import time

import numpy as np
import pytest

from pipeline.matter.energy_prior import EnergyPrior, cut_of_reach, species_kinetic
from pipeline.matter.particles import mass
from pipeline.matter.ranges import electron_table, range_table
from pipeline.matter.stopping import beta_squared, largest_transfer, stopping_power
from pipeline.matter.straggling import landau_width, most_probable_loss, sample_loss
from pipeline.matter.transport import advance
from pipeline.tables import Floats

#: PDG code, kinetic energy [MeV], length [cm], cut [MeV]: kappa from 1e-3 to 12.
PIECES = [
    (13, 1000.0, 1.0, np.inf),
    (13, 1000.0, 1.0, 0.3),
    (13, 300.0, 0.5, 1.0),
    (13, 50.0, 1.0, np.inf),
    (211, 100.0, 0.5, np.inf),
    (2212, 300.0, 1.0, np.inf),
    (2212, 60.0, 1.0, np.inf),
    (2212, 40.0, 0.5, np.inf),
]


def _over(prior: EnergyPrior, length: float, kinetic: float) -> tuple[Floats, Floats]:
    """Points of u and the density there."""
    centre = float(prior.mode_and_width(np.array([length]), np.array([kinetic]))[0][0])
    u = np.linspace(centre - 1.5, centre + 4.5, 20_001)
    return u, np.exp(prior.log_density(u, np.full(len(u), length), np.full(len(u), kinetic))[0])


@pytest.mark.parametrize(("pdg", "kinetic", "length", "cut"), PIECES)
def test_drawn_losses_have_this_density(pdg: int, kinetic: float, length: float, cut: float) -> None:
    """Mean of u within 4.5 standard errors of 300,000 draws, and the distribution by Kolmogorov's test."""
    prior, n = EnergyPrior(pdg, cut), 300_000
    layers = prior.layers(np.array([length]), np.array([kinetic]))
    energy = np.full(n, kinetic)
    drawn = sample_loss(
        np.random.default_rng([19, 2]),
        np.full(n, layers.mean[0]),
        landau_width(energy, np.full(n, length), mass(pdg)),
        beta_squared(energy, mass(pdg)),
        largest_transfer(energy, mass(pdg)),
        cut,
    )
    sample = np.sort(np.log(drawn / length))
    u, p = _over(prior, length, kinetic)
    step = u[1] - u[0]
    assert p.sum() * step == pytest.approx(1, abs=1e-4)
    assert (u * p).sum() * step == pytest.approx(sample.mean(), abs=4.5 * sample.std() / np.sqrt(n) + 1e-4)
    distance = np.abs(np.searchsorted(sample, u + 0.5 * step) / n - np.cumsum(p) * step).max()
    assert distance < 1.95 / np.sqrt(n) + 1e-4


@pytest.mark.parametrize(("pdg", "kinetic", "length", "cut"), [p for p in PIECES if p[3] < np.inf or p[0] == 2212])
def test_mean_is_bethe_and_variance_that_of_the_collisions(pdg: int, kinetic: float, length: float, cut: float) -> None:
    """By integration over u, with its Jacobian: dE/dx to 1e-4 where little is lost, the variance to 1 %."""
    u, p = _over(EnergyPrior(pdg, cut), length, kinetic)
    step = u[1] - u[0]
    mean = (p * np.exp(u)).sum() * step
    variance = (p * np.exp(u) ** 2).sum() * step - mean**2
    layers = EnergyPrior(pdg, cut).layers(np.array([length]), np.array([kinetic]))
    assert mean * length == pytest.approx(float(layers.mean[0]), rel=1e-4)
    if layers.mean[0] < 0.02 * kinetic:
        # Muons of 1 GeV radiate 0.1 % of it on the spot besides.
        assert mean == pytest.approx(float(stopping_power(np.array(kinetic), mass(pdg), cut)), rel=2e-3)
    collisions = layers.xi * layers.most * (1 - 0.5 * layers.shape.b)
    assert variance * length**2 == pytest.approx(float(collisions[0]), rel=0.01)


@pytest.mark.parametrize(("pdg", "kinetic", "steps"), [(13, 1000.0, 2), (13, 200.0, 4), (2212, 120.0, 5)])
def test_sums_over_steps_of_transport_have_this_density(pdg: int, kinetic: float, steps: int) -> None:
    """1 cm in steps, with the energy that is left: mean and quartiles of ln(dE/dx) within 0.001 and 4.5 errors."""
    n, prior = 200_000, EnergyPrior(pdg)
    rng, energy = np.random.default_rng([19, 9]), np.full(n, kinetic)
    for _ in range(steps):
        lost, _ = advance(rng, prior.table, energy, np.full(n, 1 / steps))
        energy = energy - lost
    drawn = np.log(kinetic - energy)
    middle = float(prior.table.energy(prior.table.range(np.array(kinetic)) - 0.5))
    u, p = _over(prior, 1.0, middle)
    step = u[1] - u[0]
    assert (u * p).sum() * step == pytest.approx(drawn.mean(), abs=4.5 * drawn.std() / np.sqrt(n) + 1e-4)
    for q in (0.25, 0.5, 0.75):
        expected = float(np.interp(q, np.cumsum(p) * step, u + 0.5 * step))
        error = np.sqrt(q * (1 - q) / n) / float(np.interp(expected, u, p))
        assert np.quantile(drawn, q) == pytest.approx(expected, abs=1e-3 + 4.5 * error)


@pytest.mark.parametrize(("kinetic", "length"), [(1000.0, 0.5), (300.0, 0.3)])
def test_mode_is_the_most_probable_loss(kinetic: float, length: float) -> None:
    """The density of u is highest a little above, by (width in u)^2: its Jacobian is dE/dx."""
    mode, width = EnergyPrior(13).mode_and_width(np.array([length]), np.array([kinetic]))
    expected = float(most_probable_loss(np.array(kinetic), np.array(length), mass(13))) / length
    assert np.exp(mode[0]) == pytest.approx(expected * np.exp(width[0] ** 2), rel=2e-3)


@pytest.mark.parametrize("prior", [EnergyPrior(13), EnergyPrior(13, 0.5), EnergyPrior(2212), EnergyPrior(11, 1.0)])
def test_derivatives_are_those_of_the_value(prior: EnergyPrior) -> None:
    rng = np.random.default_rng([19, 3])
    n, h = 400, 1e-5
    residual, length = rng.uniform(1, 60, n), rng.uniform(0.2, 1.5, n)
    layers = prior.layers_at(length, residual)
    mode, width = layers.mode_and_width()
    assert np.abs(layers.log_density(mode)[1]).max() < 1e-4
    u = mode + rng.normal(0, 1.5, n) * width
    _, first, second = layers.log_density(u)
    for found, up, down, step in [
        (first, layers.log_density(u + h)[0], layers.log_density(u - h)[0], h),
        (second, layers.log_density(u + h)[1], layers.log_density(u - h)[1], h),
        (
            layers.by_range(u),
            prior.layers_at(length, residual + h).log_density(u)[0],
            prior.layers_at(length, residual - h).log_density(u)[0],
            h,
        ),
        (
            layers.by_length(u),
            prior.layers(length + h, layers.kinetic).log_density(u)[0],
            prior.layers(length - h, layers.kinetic).log_density(u)[0],
            h,
        ),
    ]:
        np.testing.assert_allclose(found, (up - down) / (2 * step), rtol=1e-4, atol=1e-4 * np.abs(found).max())


def test_a_particle_slows_by_all_its_losses() -> None:
    """Where struck electrons are tracks of their own, a muon 1 m from its end still has the energy for 1 m."""
    layers = EnergyPrior(13, 0.1).layers_at(np.array([1.0]), np.array([100.0]))
    np.testing.assert_allclose(layers.kinetic, species_kinetic(13, np.array([100.0])), rtol=1e-12)
    restricted = float(stopping_power(layers.kinetic, mass(13), 0.1)[0])
    assert layers.mean[0] == pytest.approx(restricted, rel=2e-3)


@pytest.mark.parametrize("pdg", [11, 13, 211, 321, 2212])
def test_finite_within_three_of_the_mode_and_single_peaked(pdg: int) -> None:
    residual, length = np.repeat([0.05, 1.0, 20.0, 300.0], 601), 0.7
    layers = EnergyPrior(pdg).layers_at(np.full(len(residual), length), residual)
    mode, _ = layers.mode_and_width()
    away = np.tile(np.linspace(-3, 3, 601), 4)
    value, first, second = layers.log_density(mode + away)
    assert all(np.isfinite(column).all() for column in (value, first, second, layers.by_range(mode + away)))
    assert (first[away < -0.01] > 0).all() and (first[(away > 0.01) & (away < 2.5)] < 0).all()


def test_pieces_at_the_end_of_a_track() -> None:
    """One as long as what is left, or longer, takes all the energy of its particle."""
    prior = EnergyPrior(2212)
    layers = prior.layers_at(np.array([1.0, 1.0]), np.array([0.5, 0.2]))
    np.testing.assert_allclose(layers.mean, species_kinetic(2212, np.array([1.0, 1.0])), rtol=1e-6)
    assert layers.by_range(np.log(layers.mean))[1] == 0


def test_energy_of_a_range() -> None:
    """The inverse of the range by all losses, for particles and antiparticles."""
    energy = species_kinetic(13, np.array([100.0]))
    np.testing.assert_allclose(range_table(mass(13)).range(energy), 100.0, rtol=1e-6)
    assert species_kinetic(-13, np.array([100.0]))[0] == species_kinetic(13, np.array([100.0]))[0]


def test_a_hundred_thousand_pieces() -> None:
    rng = np.random.default_rng([19, 4])
    prior, n = EnergyPrior(13), 100_000
    u, length, kinetic = rng.normal(0.7, 0.3, n), rng.uniform(0.2, 1.2, n), rng.uniform(50, 1000, n)
    prior.log_density(u[:1], length[:1], kinetic[:1])
    begin = time.process_time()
    prior.log_density(u, length, kinetic)
    assert time.process_time() - begin < 0.5


def test_electrons_that_reach_less_than_a_millimetre() -> None:
    """Geant4's cut of 0.7 mm is 273 keV in liquid argon."""
    assert cut_of_reach(0.07) == pytest.approx(0.273, rel=0.05)
    assert electron_table().range(np.array(cut_of_reach(0.44))) == pytest.approx(0.44, rel=1e-6)
