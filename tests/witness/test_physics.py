"""The witness's formulas against plain numerical integration and published values."""

import numpy as np
import pytest
from scipy.integrate import quad

from tests.witness import physics


@pytest.mark.parametrize("scale", [0.15, 0.7, 2.7])
@pytest.mark.parametrize("width", [0.01, 0.25, 1.0])
@pytest.mark.parametrize("time", [-6.0, -0.8, -0.02, 0.0, 0.3, 4.0])
def test_smeared_exponential_is_the_mean_over_a_gaussian(scale: float, width: float, time: float) -> None:
    def integrand(g: float) -> float:
        return float(np.exp(min(time - width * g, 0.0) / scale - 0.5 * g * g) / np.sqrt(2.0 * np.pi))

    # The integrand has a kink at g = time / width and is done separately on both sides.
    kink = float(np.clip(time / width, -12.0, 12.0))
    expected = quad(integrand, -12.0, kink, epsabs=1e-13)[0] + quad(integrand, kink, 12.0, epsabs=1e-13)[0]

    result = physics.smeared_exponential(np.array([time]), np.array([scale]), np.array([width]))[0]

    assert result == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("ratio", [-800.0, -40.0, 40.0, 800.0])
def test_smeared_exponential_far_from_the_kink_is_the_bare_exponential_or_one(ratio: float) -> None:
    """Far from the kink the smearing multiplies the exponential by exp(width^2 / 2 scale^2)."""
    width, scale = 0.05, 0.8

    result = physics.smeared_exponential(np.array([ratio * width]), np.array([scale]), np.array([width]))[0]

    expected = np.exp(min(ratio * width, 0.0) / scale + (0.5 * (width / scale) ** 2 if ratio < 0 else 0.0))
    assert result == pytest.approx(expected, rel=1e-12)


def test_response_never_falls_and_ends_at_one_everywhere_on_a_pixel() -> None:
    """a in [0, 1] and positive b, c make the collected charge a monotonic function of time."""
    edge = 0.5 * physics.MODULE0.pitch
    x, y = np.meshgrid(np.linspace(-edge, edge, 81), np.linspace(-edge, edge, 81))

    shape = physics.response_shape(x, y)

    assert np.all((shape["a"] >= 0.0) & (shape["a"] <= 1.0))
    assert min(shape["b"].min(), shape["c"].min()) > 0.0


def test_velocity_at_the_published_points() -> None:
    """0.15965 cm/us at 0.5 kV/cm and d ln v / d ln E = 0.50 (Li et al. parametrisation at 87.17 K)."""
    low, nominal, high = (physics.velocity(field, 87.17) for field in (0.4995, 0.5, 0.5005))

    assert nominal == pytest.approx(0.15965, abs=5e-6)
    assert np.log(high / low) / np.log(0.5005 / 0.4995) == pytest.approx(0.50, abs=0.005)
