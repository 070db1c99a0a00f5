"""Multiple scattering against Moliere's distribution, Highland's formula and the geometry of directions."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.integrate import quad
from scipy.special import k1
from scipy.stats import ks_2samp

from pipeline.matter.scattering import (
    across,
    characteristic_angles,
    isotropic,
    leaning,
    mean_square_angle,
    scatter,
    turned,
)
from pipeline.tables import Floats

DENSITY, RADIATION_LENGTH = 1.396, 19.55
#: 1.95 over the square root of the number: the distance of Kolmogorov and Smirnov that chance exceeds once in 1000.
KOLMOGOROV = 1.95
MUON = 105.6583755


def _beta(momentum: float, mass: float = MUON) -> float:
    return float(momentum / np.hypot(momentum, mass))


def _chi_c2(momentum: float, beta: float, length: float) -> float:
    """Bethe (1953): 0.157 MeV^2 Z (Z + 1) x / (A p^2 beta^2), x in g/cm2."""
    return 0.1569 * 18 * 19 / 39.948 * length * DENSITY / (momentum * beta) ** 2


def _chi_a2(momentum: float, beta: float) -> float:
    """Moliere: (3.73 keV Z^1/3 / (0.885 p))^2 (1.13 + 3.76 (Z / 137 beta)^2), alpha m c^2 = 3.729 keV."""
    return (3.7289e-3 * 18 ** (1 / 3) / (0.885 * momentum)) ** 2 * (1.13 + 3.76 * (18 / 137.036 / beta) ** 2)


def _moliere(angles: Floats, chi_c2: float, chi_a2: float, levers: Floats) -> Floats:
    """Distribution function of the projected angle, or of a mean of angles with `levers`, from its characteristic
    function.

    The integral of `chi_c^2 (1 - J0(k t)) 2 t / (t^2 + chi_a^2)^2` over t is `chi_c^2 / chi_a^2 (1 - z K1(z))` with
    `z = k chi_a`. A scatter at a distance l from the end displaces that by l times its angle: the displacement is the
    mean with levers l, spread evenly from 0 to the length.
    """
    k = np.linspace(0, 12 / np.sqrt(chi_c2) / levers.mean(), 10_001)[1:]
    z = k[:, None] * np.sqrt(chi_a2) * levers
    size = np.exp(-chi_c2 / chi_a2 * (1 - z * k1(z)).mean(axis=1))
    wave = size * np.sin(k * angles[:, None]) / k
    integral = np.trapezoid(np.hstack([angles[:, None], wave]), np.concatenate([[0], k]), axis=1)
    return np.asarray(0.5 + integral / np.pi)


def _path(momentum: float, length: float, cuts: int, n: int, seed: int = 1) -> tuple[Floats, Floats]:
    """Projected angles [rad] and displacements [cm], `(n,)` each, after a path cut in equal steps."""
    rng = np.random.default_rng([seed, cuts])
    p, beta, step = np.full(n, momentum), np.full(n, _beta(momentum)), np.full(n, length / cuts)
    angle, aside = np.zeros(n), np.zeros(n)
    for _ in range(cuts):
        drawn = scatter(rng, p, beta, step)
        aside += step * (angle + 0.5 * drawn.angle[:, 0] + drawn.lateral[:, 0])
        angle += drawn.angle[:, 0]
    return angle, aside


def half_width(values: Floats) -> float:
    low, high = np.quantile(values, [0.158655, 0.841345])
    return float(0.5 * (high - low))


@pytest.mark.parametrize("momentum", [50.0, 300.0, 2000.0])
def test_characteristic_angles(momentum: float) -> None:
    c2, a2 = characteristic_angles(np.array(momentum), np.array(_beta(momentum)), np.array(0.7))
    assert float(c2) == pytest.approx(_chi_c2(momentum, _beta(momentum), 0.7), rel=1e-3)
    assert float(a2) == pytest.approx(_chi_a2(momentum, _beta(momentum)), rel=1e-3)


@pytest.mark.parametrize(("momentum", "length", "cuts"), [(150.0, 0.1, 1), (150.0, 1.0, 1), (150.0, 1.0, 20)])
def test_projected_angles_follow_moliere(momentum: float, length: float, cuts: int) -> None:
    """At every angle, against the inversion of the characteristic function."""
    n = 100_000
    angle, _ = _path(momentum, length, cuts, n)
    beta = _beta(momentum)
    at = np.linspace(-6, 6, 61) * half_width(angle)
    expected = _moliere(at, _chi_c2(momentum, beta, length), _chi_a2(momentum, beta), np.ones(1))
    drawn = np.searchsorted(np.sort(angle), at) / n
    assert np.abs(drawn - expected).max() < KOLMOGOROV / np.sqrt(n)


@pytest.mark.parametrize("length", [0.1, 0.5, 3.0, 10.0])
def test_core_is_that_of_highland(length: float) -> None:
    """13.6 MeV / (beta p) sqrt(x/X0) (1 + 0.038 ln(x / (X0 beta^2))), Review of Particle Physics; 5 %."""
    momentum = 1000.0
    angle, _ = _path(momentum, length, 1, 100_000)
    beta, layers = _beta(momentum), length * DENSITY / RADIATION_LENGTH
    highland = 13.6 / (beta * momentum) * np.sqrt(layers) * (1 + 0.038 * np.log(layers / beta**2))
    assert half_width(angle) == pytest.approx(highland, rel=0.05)


def test_a_path_may_be_cut_in_any_way() -> None:
    """Angle and displacement after 2 cm in 1, 4 and 40 steps have the same distributions."""
    n = 60_000
    whole = _path(300.0, 2.0, 1, n)
    for cuts in (4, 40):
        parts = _path(300.0, 2.0, cuts, n)
        for a, b in zip(whole, parts):
            assert ks_2samp(a, b).statistic < KOLMOGOROV * np.sqrt(2 / n)


@pytest.mark.parametrize("cuts", [1, 10])
def test_displacement_belongs_to_the_angle(cuts: int) -> None:
    """Its distribution is Moliere's, with levers; its width theta x / sqrt(3), but for the fewer scatters with long
    levers (4 %); its correlation with the angle is sqrt(3) / 2, of what is no hard scatter."""
    n, length, momentum = 100_000, 5.0, 500.0
    angle, aside = _path(momentum, length, cuts, n)
    assert half_width(aside) == pytest.approx(half_width(angle) * length / np.sqrt(3), rel=0.04)
    at = np.linspace(-6, 6, 61) * half_width(aside) / length
    levers = (np.arange(40) + 0.5) / 40
    beta = _beta(momentum)
    expected = _moliere(at, _chi_c2(momentum, beta, length), _chi_a2(momentum, beta), levers)
    assert np.abs(np.searchsorted(np.sort(aside / length), at) / n - expected).max() < KOLMOGOROV / np.sqrt(n)
    # Turning the pair to standard, independent variables; hard scatters left out where either is beyond 3.
    one = angle / half_width(angle)
    two = (aside - 0.5 * length * angle) / (half_width(angle) * length / np.sqrt(12))
    core = (np.abs(one) < 3) & (np.abs(two) < 3)
    assert core.mean() > 0.97
    # Independent: no correlation, and the second as wide as the Gaussian part of the first.
    assert abs(np.corrcoef(one[core], two[core])[0, 1]) < 5 / np.sqrt(n)
    assert half_width(two) == pytest.approx(1.0, abs=0.06)
    inside = np.abs(one) < 3
    correlation = np.corrcoef(angle[inside], aside[inside])[0, 1]
    assert correlation == pytest.approx(np.sqrt(3) / 2, abs=0.015)


def test_single_scatters_have_rutherfords_tail() -> None:
    """Scatters beyond theta: chi_c^2 / theta^2, so four times as many beyond half of an angle, in a thin layer."""
    n, momentum, length = 1_000_000, 60.0, 0.002
    drawn = scatter(np.random.default_rng(2), np.full(n, momentum), np.full(n, _beta(momentum)), np.full(n, length))
    theta = np.linalg.norm(drawn.angle, axis=1)
    c2 = _chi_c2(momentum, _beta(momentum), length)
    for least in (0.04, 0.08, 0.16):
        expected = n * c2 * (1 / (2 * (1 - np.cos(least))) - 1 / 4)
        # Soft scatters beside a hard one raise the number by a few times (width / theta)^2.
        allowed = 5 * np.sqrt(expected) + 6 * expected * c2 * 10 / least**2
        assert (theta > least).sum() == pytest.approx(expected, abs=allowed)


def test_the_extended_nucleus_takes_the_hardest_scatters_away() -> None:
    """|F|^2 = (1 + q^2 r^2 / 12)^-4 of an exponential charge with r = 3.4274 fm: scatters beyond 80 mrad at 2 GeV/c."""
    n, momentum, length, least = 1_000_000, 2000.0, 20.0, 0.08
    beta = _beta(momentum)
    drawn = scatter(np.random.default_rng(6), np.full(n, momentum), np.full(n, beta), np.full(n, length))
    c2 = _chi_c2(momentum, beta, length)

    def spectrum(u: float) -> float:
        return c2 / u**2 * (1 + u * (momentum * 3.4274 / 197.327) ** 2 / 12) ** -4

    expected = n * quad(spectrum, 2 * (1 - np.cos(least)), 4, limit=500, points=[0.01, 0.1])[0]
    point = n * c2 / least**2
    found = (np.linalg.norm(drawn.angle, axis=1) > least).sum()
    assert expected < 0.3 * point
    # Smearing by the soft ones, of 5 mrad, on a spectrum that falls with the sixth power.
    assert found == pytest.approx(expected, abs=5 * np.sqrt(expected) + 0.15 * expected)


def test_no_step_no_scattering() -> None:
    drawn = scatter(np.random.default_rng(0), np.full(5, 300.0), np.full(5, 0.9), np.zeros(5))
    np.testing.assert_array_equal(drawn.angle, 0)
    np.testing.assert_array_equal(drawn.lateral, 0)
    none = np.zeros(0)
    assert scatter(np.random.default_rng(0), none, none, none).angle.shape == (0, 2)


def test_rough_mean_square_angle_is_near_moliere() -> None:
    """It limits steps: within a half of twice the square of the projected width."""
    for momentum, length in ((300.0, 1.0), (1000.0, 10.0)):
        rough = float(mean_square_angle(np.array(momentum), np.array(_beta(momentum)), np.array(length)))
        angle, _ = _path(momentum, length, 1, 20_000)
        assert rough == pytest.approx(2 * half_width(angle) ** 2, rel=0.5)


DIRECTIONS = np.array(
    [[0, 0, 1.0], [0, 0, -1.0], [1.0, 0, 0], [0, -1.0, 0], [1e-9, 0, -1.0], [0.6, 0.0, -0.8], [2 / 3, 2 / 3, 1 / 3]]
)


def _many() -> npt.NDArray[np.float64]:
    return np.concatenate([DIRECTIONS, isotropic(np.random.default_rng(4), 500)])


def test_across_is_perpendicular_everywhere() -> None:
    """Also along -z and next to it, where many a construction fails; and right-handed."""
    direction = _many()
    one, two = across(direction)
    for a, b in ((one, direction), (two, direction), (one, two)):
        np.testing.assert_allclose(np.einsum("ij,ij->i", a, b), 0, atol=1e-12)
    for a in (one, two):
        np.testing.assert_allclose(np.linalg.norm(a, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(np.cross(one, two), direction, atol=1e-12)


def test_turned_by_an_angle_is_at_that_angle() -> None:
    direction = _many()
    angle = np.random.default_rng(1).normal(0, 0.7, (len(direction), 2))
    new = turned(direction, angle)
    np.testing.assert_allclose(np.linalg.norm(new, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(np.einsum("ij,ij->i", new, direction), np.cos(np.linalg.norm(angle, axis=1)), atol=1e-12)
    np.testing.assert_allclose(turned(direction, np.zeros_like(angle)), direction, atol=1e-15)
    half_turn = np.tile([np.pi, 0.0], (len(direction), 1))
    np.testing.assert_allclose(turned(direction, half_turn), -direction, atol=1e-12)


def test_leaning_is_at_the_angle_and_uniform_around() -> None:
    n = 40_000
    for direction in DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1)[:, None]:
        many = np.tile(direction, (n, 1))
        new = leaning(np.random.default_rng(3), many, np.full(n, 0.3))
        np.testing.assert_allclose(new @ direction, 0.3, atol=1e-12)
        # The component across, of size sqrt(1 - 0.09), averages to nothing.
        assert np.linalg.norm(new.mean(axis=0) - 0.3 * direction) < 5 * np.sqrt((1 - 0.09) / n)
    np.testing.assert_allclose(leaning(np.random.default_rng(3), DIRECTIONS, np.ones(7)), DIRECTIONS, atol=1e-7)
    np.testing.assert_allclose(leaning(np.random.default_rng(3), DIRECTIONS, -np.ones(7)), -DIRECTIONS, atol=1e-7)


def test_isotropic() -> None:
    """Mean 0, mean square of each component 1/3."""
    n = 200_000
    d = isotropic(np.random.default_rng(9), n)
    np.testing.assert_allclose(np.linalg.norm(d, axis=1), 1, rtol=1e-12)
    assert np.abs(d.mean(axis=0)).max() < 5 / np.sqrt(3 * n)
    np.testing.assert_allclose((d**2).mean(axis=0), 1 / 3, atol=5 * np.sqrt(4 / 45 / n))
