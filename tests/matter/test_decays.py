"""Decays of muons, pions and kaons against kinematics and the Review of Particle Physics."""

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest

from pipeline.matter.decays import (
    KAON,
    MUON,
    PION,
    Products,
    boosted,
    decay,
    lifetime,
    michel,
    three_bodies,
    two_bodies,
    without_neutral_pions,
)
from pipeline.matter.particles import mass
from pipeline.matter.scattering import isotropic
from pipeline.tables import Floats

M_E, M_MU, M_PI, M_PI0, M_K = 0.51099895, 105.6583755, 139.57039, 134.9768, 493.677
KOLMOGOROV = 1.95
MASSES = {11: M_E, 13: M_MU, 22: 0.0, 211: M_PI, 111: M_PI0}


def four_momenta(products: Products) -> Floats:
    """`(m, 4)`, energy first."""
    masses = np.array([MASSES[abs(int(code))] for code in products.pdg_id])
    energy = products.kinetic_energy + masses
    momentum = np.sqrt(np.maximum(energy**2 - masses**2, 0))
    return np.column_stack([energy, momentum[:, None] * products.direction])


def invariant2(four: Floats) -> Floats:
    return np.asarray(four[..., 0] ** 2 - (four[..., 1:] ** 2).sum(axis=-1))


def at_rest(species: int, n: int, sign: int = 1, seed: int = 1) -> Products:
    rng = np.random.default_rng(seed)
    return decay(rng, species, np.full(n, sign), np.zeros(n), np.tile([0.0, 0, 1], (n, 1)))


def visible(products: Products, n: int) -> Floats:
    """Sum of four-momenta by decay `(n, 4)`."""
    four = four_momenta(products)
    return np.column_stack([np.bincount(products.owner, four[:, i], minlength=n) for i in range(4)])


def test_michel_spectrum() -> None:
    """End point (M^2 + m^2) / (2 M) = 52.83 MeV, mean 7/10 of it, 36.98 MeV; cumulative 2 x^3 - x^4 everywhere."""
    n = 100_000
    energy = michel(np.random.default_rng(2), n)
    end = (M_MU**2 + M_E**2) / (2 * M_MU)
    assert end == pytest.approx(52.83, abs=0.001)
    assert 52.7 < energy.max() <= end
    assert energy.min() >= M_E
    assert energy.mean() == pytest.approx(36.98, abs=5 * energy.std() / np.sqrt(n))
    assert kstest(energy, lambda e: 2 * (e / end) ** 3 - (e / end) ** 4).statistic < KOLMOGOROV / np.sqrt(n)


def test_two_body_decays_at_rest() -> None:
    """Pion: a muon of 4.12 MeV; kaon: muons of 152.5 MeV and pions of 108.6 MeV beside neutral ones."""
    assert at_rest(PION, 100).kinetic_energy == pytest.approx(4.120, abs=0.002)
    kaons = at_rest(KAON, 5000)
    one = np.bincount(kaons.owner, minlength=5000)[kaons.owner] == 1
    muons = kaons.kinetic_energy[(np.abs(kaons.pdg_id) == 13) & one]
    assert len(muons) > 2500
    assert muons == pytest.approx(152.5, abs=0.1)
    three = np.bincount(kaons.owner, minlength=5000)[kaons.owner] == 3
    pions = kaons.kinetic_energy[(kaons.pdg_id == 211) & three]
    assert np.isclose(pions, 108.6, atol=0.1).sum() == pytest.approx(5000 * 0.2067, abs=5 * np.sqrt(5000 * 0.164))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_charge_is_kept(sign: int) -> None:
    """Of each decay, the charges of products add up to that of the parent: neutrinos and photons have none."""
    for species in (MUON, PION, KAON):
        n = 4000
        products = at_rest(species, n, sign)
        code = products.pdg_id
        charges = np.where(np.abs(code) == 211, np.sign(code), np.where(code == 22, 0, -np.sign(code)))
        np.testing.assert_array_equal(np.bincount(products.owner, charges, minlength=n), sign)


def test_kaons_decay_as_often_as_published_in_each_way() -> None:
    """Branching ratios of the Review of Particle Physics (2024), of the six that are 99.8 % of all."""
    n = 40_000
    products = at_rest(KAON, n)
    kinds = {
        "mu": 0.6356,
        "pi pi0": 0.2067,
        "pi pi pi": 0.05583,
        "pi0 e": 0.0507,
        "pi0 mu": 0.03352,
        "pi pi0 pi0": 0.0176,
    }
    count = {
        name: np.bincount(products.owner, np.isin(products.pdg_id, codes), minlength=n)
        for name, codes in {"photon": [22], "e": [-11], "mu": [-13], "pi": [211, -211]}.items()
    }
    found = {
        "mu": (count["mu"] == 1) & (count["photon"] == 0),
        "pi pi0": (count["pi"] == 1) & (count["photon"] == 2),
        "pi pi pi": (count["pi"] == 3) & (count["photon"] == 0),
        "pi0 e": (count["e"] == 1) & (count["photon"] == 2),
        "pi0 mu": (count["mu"] == 1) & (count["photon"] == 2),
        "pi pi0 pi0": (count["pi"] == 1) & (count["photon"] == 4),
    }
    assert sum(kind.sum() for kind in found.values()) == n
    for name, share in kinds.items():
        share /= sum(kinds.values())
        assert found[name].mean() == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / n))


def test_lifetimes() -> None:
    """2.1970 us, 26.033 ns, 12.380 ns; protons and electrons for ever."""
    assert lifetime(MUON) == pytest.approx(2.1970, rel=1e-4)
    assert lifetime(PION) == pytest.approx(0.026033, rel=1e-4)
    assert lifetime(KAON) == pytest.approx(0.012380, rel=2e-3)
    assert lifetime(2212) == lifetime(11) == np.inf


@pytest.mark.parametrize(("species", "m", "kinetic"), [(PION, M_PI, 500.0), (KAON, M_K, 40.0), (KAON, M_K, 3000.0)])
def test_decays_in_flight_conserve_four_momentum(species: int, m: float, kinetic: float) -> None:
    """What is not seen is one neutrino without mass, or nothing, in every direction of the parent."""
    n = 5000
    rng = np.random.default_rng(4)
    direction = isotropic(rng, n)
    products = decay(rng, species, np.ones(n, dtype=np.int64), np.full(n, kinetic), direction)
    parent = np.column_stack([np.full(n, kinetic + m), np.sqrt(kinetic * (kinetic + 2 * m)) * direction])
    missing = parent - visible(products, n)
    size = (kinetic + m) ** 2
    np.testing.assert_allclose(invariant2(missing), 0, atol=1e-9 * size)
    assert missing[:, 0].min() > -1e-9 * (kinetic + m)
    leptons = np.bincount(products.owner, np.isin(np.abs(products.pdg_id), [11, 13]), minlength=n) > 0
    np.testing.assert_allclose(missing[~leptons], 0, atol=1e-8 * (kinetic + m))
    assert (missing[leptons, 0] > 0).all()


def test_muons_of_pions_in_flight_have_a_flat_spectrum() -> None:
    """Between gamma (E - beta p) and gamma (E + beta p) of the energy at rest: an isotropic decay, boosted."""
    n, kinetic = 50_000, 300.0
    rng = np.random.default_rng(6)
    muons = decay(rng, PION, np.ones(n, dtype=np.int64), np.full(n, kinetic), np.tile([0.0, 1, 0], (n, 1)))
    energy, p = (M_PI**2 + M_MU**2) / (2 * M_PI), (M_PI**2 - M_MU**2) / (2 * M_PI)
    gamma = 1 + kinetic / M_PI
    low, high = (gamma * energy + s * np.sqrt(gamma**2 - 1) * p for s in (-1, 1))
    flat = kstest(muons.kinetic_energy + M_MU, lambda e: np.clip((e - low) / (high - low), 0, 1)).statistic
    assert flat < KOLMOGOROV / np.sqrt(n)


def test_michel_electrons_in_flight_have_the_boosted_mean() -> None:
    """Unpolarised: the mean energy is gamma times that at rest."""
    n, kinetic = 40_000, 200.0
    rng = np.random.default_rng(7)
    electrons = decay(rng, MUON, np.ones(n, dtype=np.int64), np.full(n, kinetic), np.tile([0.0, 0, -1], (n, 1)))
    total = electrons.kinetic_energy + M_E
    expected = (1 + kinetic / M_MU) * 36.98
    assert total.mean() == pytest.approx(expected, abs=5 * total.std() / np.sqrt(n))
    assert (electrons.pdg_id == -11).all()


def test_boosts_keep_masses_and_are_undone_by_their_opposite() -> None:
    rng = np.random.default_rng(8)
    n = 200
    four = np.column_stack([rng.uniform(500, 900, n), isotropic(rng, n) * rng.uniform(0, 400, n)[:, None]])
    direction, beta = isotropic(rng, n), rng.uniform(0, 0.999, n)
    gamma = 1 / np.sqrt(1 - beta**2)
    there = boosted(four, direction, beta, gamma)
    np.testing.assert_allclose(invariant2(there), invariant2(four), rtol=1e-7)
    np.testing.assert_allclose(boosted(there, -direction, beta, gamma), four, rtol=0, atol=1e-7)
    # From rest: gamma M and gamma beta M along the direction.
    still = np.tile([10.0, 0, 0, 0], (n, 1))
    moved = boosted(still, direction, beta, gamma)
    np.testing.assert_allclose(moved[:, 0], 10 * gamma, rtol=1e-12)
    np.testing.assert_allclose(moved[:, 1:], 10 * (gamma * beta)[:, None] * direction, rtol=1e-9, atol=1e-12)


def test_two_bodies_are_back_to_back_with_their_masses() -> None:
    one, two = two_bodies(np.random.default_rng(1), np.full(1000, 500.0), 100.0, 300.0)
    np.testing.assert_allclose(one + two, np.tile([500.0, 0, 0, 0], (1000, 1)), atol=1e-10)
    np.testing.assert_allclose(invariant2(one), 100.0**2, rtol=1e-9)
    np.testing.assert_allclose(invariant2(two), 300.0**2, rtol=1e-9)
    # Just at the threshold nothing moves.
    one, _ = two_bodies(np.random.default_rng(1), np.full(3, 400.0), 100.0, 300.0)
    np.testing.assert_allclose(one, np.tile([100.0, 0, 0, 0], (3, 1)), atol=1e-4)


@pytest.mark.parametrize("masses", [(M_PI0, M_E, 0.0), (M_PI0, M_MU, 0.0), (M_PI, M_PI, M_PI)])
def test_three_bodies_conserve_and_fill_phase_space(masses: tuple[float, float, float]) -> None:
    """In Dalitz' plane uniform: for each pair the square of its mass is as often as the length of the strip there."""
    n = 30_000
    four = three_bodies(np.random.default_rng(3), n, M_K, masses)
    np.testing.assert_allclose(sum(four), np.tile([M_K, 0, 0, 0], (n, 1)), atol=1e-9)
    for part, m in zip(four, masses):
        np.testing.assert_allclose(invariant2(part), m**2, atol=1e-7)
        # The end point, where the other two go together.
        rest = sum(masses) - m
        assert part[:, 0].max() <= (M_K**2 + m**2 - rest**2) / (2 * M_K) + 1e-9
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        pair = invariant2(four[i] + four[j])
        low, high = (masses[i] + masses[j]) ** 2, (M_K - masses[k]) ** 2
        grid = np.linspace(low, high, 4001)
        # Length of the strip: 4 times the momenta in the rest frames of the pair and of the parent, over masses.
        strip = np.sqrt(
            np.maximum((grid - low) * (grid - (masses[i] - masses[j]) ** 2), 0)
            * np.maximum((high - grid) * ((M_K + masses[k]) ** 2 - grid), 0)
        ) / np.maximum(grid, 1e-9)
        cumulative = np.concatenate([[0], np.cumsum(0.5 * (strip[1:] + strip[:-1]))])
        expected = np.interp(np.sort(pair), grid, cumulative / cumulative[-1])
        assert np.abs(expected - (np.arange(n) + 0.5) / n).max() < KOLMOGOROV / np.sqrt(n)


def test_equal_bodies_are_alike() -> None:
    four = three_bodies(np.random.default_rng(5), 20_000, M_K, (M_PI, M_PI, M_PI))
    for part in four[1:]:
        assert ks_2samp(four[0][:, 0], part[:, 0]).statistic < KOLMOGOROV * np.sqrt(2 / 20_000)


@pytest.mark.parametrize("kinetic", [0.0, 1.0, 500.0])
def test_neutral_pions_are_two_photons_of_their_mass_and_momentum(kinetic: float) -> None:
    n = 500
    rng = np.random.default_rng(2)
    direction = isotropic(rng, n)
    pions = Products(np.arange(n), np.full(n, 111), np.full(n, kinetic), direction)
    photons = without_neutral_pions(rng, pions)
    assert (photons.pdg_id == 22).all() and len(photons.owner) == 2 * n
    sums = visible(photons, n)
    momentum = np.sqrt(kinetic * (kinetic + 2 * M_PI0))
    np.testing.assert_allclose(sums[:, 0], kinetic + M_PI0, rtol=1e-9)
    np.testing.assert_allclose(sums[:, 1:], momentum * direction, atol=1e-8 * (kinetic + M_PI0))


def test_no_decays() -> None:
    none = np.zeros(0)
    for species in (MUON, PION, KAON):
        products = decay(np.random.default_rng(0), species, none.astype(np.int64), none, np.zeros((0, 3)))
        assert len(products.owner) == 0
    assert mass(111) == pytest.approx(M_PI0, abs=0.001)
