"""Vavilov's density: its characteristic function, Landau's density, moments of the collision spectrum, derivatives."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import landau

from pipeline.matter.vavilov import LogDensity, Shape, log_density
from pipeline.tables import Floats


def _at(v: Floats, kappa: float, b: float, *, by_shape: bool = False) -> LogDensity:
    shape = Shape.of(np.full(len(v), np.log(kappa)), np.full(len(v), b))
    return log_density(v, shape, by_shape=by_shape)


@pytest.mark.parametrize(("kappa", "b"), [(0.01, 0.9), (0.05, 0.3), (0.3, 0.02), (1.3, 0.45), (7.0, 0.1), (60.0, 0.05)])
def test_cumulants_are_those_of_the_collision_spectrum(kappa: float, b: float) -> None:
    """Norm 1, mean 0, and from the integral of w^(k-2) (1 - b w): (1 - b/2) / kappa, (1/2 - b/3) / kappa^2."""
    deviation = np.sqrt((1 - b / 2) / kappa)
    v = np.linspace(-12 / (kappa + 0.5) ** 0.5 + min(0.0, np.log(kappa)), 25 * deviation, 40_001)
    p = np.exp(_at(v, kappa, b).value)
    norm, mean, square, cube = (np.trapezoid(p * v**k, v) for k in range(4))
    assert norm == pytest.approx(1, abs=5e-5)
    assert mean == pytest.approx(0, abs=3e-4 * deviation)
    assert square == pytest.approx(deviation**2, rel=2e-3)
    assert cube == pytest.approx((1 / 2 - b / 3) / kappa**2, rel=3e-2)


@pytest.mark.parametrize(("kappa", "b"), [(0.02, 0.7), (0.4, 0.2), (5.0, 0.5)])
def test_characteristic_function(kappa: float, b: float) -> None:
    """The mean of exp(i f v) against the integral over collisions, done by quadrature."""
    deviation = np.sqrt((1 - b / 2) / kappa)
    v = np.linspace(-12 / (kappa + 0.5) ** 0.5 + min(0.0, np.log(kappa)), 25 * deviation, 40_001)
    p = np.exp(_at(v, kappa, b).value)
    for f in (0.3 / deviation, 1.0 / deviation, 2.0 / deviation):
        # sin(x) - x loses its digits near 0, where its series is good.
        parts = [
            quad(lambda w, f=f: (1 - b * w) * (np.cos(f * w / kappa) - 1) / w**2, 0, 1, limit=500)[0],
            quad(lambda w, f=f: (1 - b * w) * (np.sin(f * w / kappa) - f * w / kappa) / w**2, 1e-6, 1, limit=500)[0],
        ]
        expected = np.exp(kappa * (parts[0] + 1j * parts[1]))
        assert abs(np.trapezoid(p * np.exp(1j * f * v), v) - expected) < 2e-4


def test_small_kappa_is_landau() -> None:
    """lambda = v - (1 - gamma_Euler) - b - ln kappa, to the order kappa v."""
    kappa, b = 2e-5, 0.9
    parameter = np.linspace(-3, 12, 31)
    found = _at(parameter + 1 - np.euler_gamma + b + np.log(kappa), kappa, b).value
    expected = landau(loc=np.log(np.pi / 2), scale=np.pi / 2).logpdf(parameter)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_large_kappa_is_gaussian() -> None:
    kappa, b = 900.0, 0.1
    deviation = np.sqrt((1 - b / 2) / kappa)
    x = np.linspace(-3, 3, 13)
    # Edgeworth's first correction: skewness / 6 times the third Hermite polynomial.
    skew = (1 / 2 - b / 3) / kappa**2 / deviation**3
    expected = -0.5 * x**2 - np.log(deviation * np.sqrt(2 * np.pi)) + np.log1p(skew / 6 * (x**3 - 3 * x))
    np.testing.assert_allclose(_at(x * deviation, kappa, b).value, expected, atol=2e-3)


def test_derivatives_are_those_of_the_value() -> None:
    rng = np.random.default_rng([19, 1])
    n, h = 500, 1e-5
    log_kappa, b = rng.uniform(-10, 5, n), rng.uniform(0.01, 0.99, n)
    v = Shape.of(log_kappa, b).centre[0] + rng.normal(0, 1.5, n) * Shape.of(log_kappa, b).width[0]

    def at(dv: float = 0.0, dk: float = 0.0, db: float = 0.0) -> LogDensity:
        return log_density(v + dv, Shape.of(log_kappa + dk, b + db), by_shape=True)

    here = at()
    step = 1e-5 * Shape.of(log_kappa, b).width[0]
    for found, up, down, width in [
        (here.by_v, at(dv=step).value, at(dv=-step).value, step),
        (here.by_v2, at(dv=step).by_v, at(dv=-step).by_v, step),
        (here.by_log_kappa, at(dk=h).value, at(dk=-h).value, h),
        (here.by_b, at(db=h).value, at(db=-h).value, h),
    ]:
        assert found is not None
        np.testing.assert_allclose(found, (up - down) / (2 * width), rtol=1e-4, atol=1e-4 * np.abs(found).max())


@pytest.mark.parametrize("kappa", [1e-9, 1e-5, 1e-3, 0.03, 1.0, 300.0, 1e6])
def test_finite_anywhere(kappa: float) -> None:
    """Far outside too: up to the peak and down from it, without a jump in slope."""
    shape = Shape.of(np.array([np.log(kappa)]), np.array([0.5]))
    v = shape.centre[0] + shape.width[0] * np.sinh(np.linspace(-12, 12, 4001))
    found = _at(v, kappa, 0.5)
    assert all(np.isfinite(column).all() for column in (found.value, found.by_v, found.by_v2))
    assert found.value.argmax() == pytest.approx(2000, abs=400)
    np.testing.assert_allclose(
        np.diff(found.value), 0.5 * (found.by_v[1:] + found.by_v[:-1]) * np.diff(v), rtol=0.05, atol=0.05
    )


def test_none() -> None:
    assert _at(np.zeros(0), 1.0, 0.5).value.shape == (0,)
