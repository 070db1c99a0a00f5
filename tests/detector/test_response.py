"""The pixel response against its current, conservation of charge and limits."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.integrate import quad

from pipeline.detector.response import RESPONSES, Parametrised, Response
from pipeline.errors import ConfigError

HALF = 0.2217  # half a pixel of module 0 [cm]
SHARP = 1e-5  # [us]
OFFSETS = [(0.0, 0.0), (0.1, 0.03), (0.2217, 0.0), (0.05, 0.21), (0.2217, 0.2217)]

#: The coefficients as published with the model: a, b, c [us], t_s [us] in powers 1, x, y, x y, x^2, y^2.
PUBLISHED = {
    "a": (1.060, -0.909, -0.909, 5.856, 0.207, 0.207),
    "b": (0.679, -1.083, -1.083, 8.772, -5.521, -5.521),
    "c": (2.644, -9.174, -9.174, 13.483, 45.887, 45.887),
    "t_s": (2.948, -2.705, -2.705, 4.825, 20.814, 20.814),
}


def published_shape(x: float, y: float) -> tuple[float, float, float, float]:
    a, b, c, s = (np.dot(k, [1.0, x, y, x * y, x * x, y * y]) for k in PUBLISHED.values())
    return min(a, 1.0), b, c, s


def grid(n: int = 13) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    x, y = np.meshgrid(np.linspace(0, HALF, n), np.linspace(0, HALF, n), indexing="ij")
    return x.reshape(-1, 1), y.reshape(-1, 1)


@pytest.fixture(params=sorted(RESPONSES))
def response(request: pytest.FixtureRequest) -> Response:
    return RESPONSES[request.param]()


@pytest.mark.parametrize("sigma", [SHARP, 0.02, 0.3, 2.0])
def test_the_charge_rises_from_none_to_one_electron(response: Response, sigma: float) -> None:
    x, y = grid()
    t = np.linspace(response.early - 9 * sigma, response.late + 9 * sigma, 800)

    charge = response.cumulative(x, y, t[None], sigma)

    assert np.diff(charge, axis=1).min() > -1e-12
    assert charge[:, 0].max() < 1e-5 and charge[:, 0].min() >= 0
    np.testing.assert_allclose(charge[:, -1], 1.0, rtol=0, atol=1e-12)


def test_the_stated_range_holds_a_sharp_arrival(response: Response) -> None:
    x, y = grid()
    before = response.cumulative(x, y, np.array([[response.early]]), SHARP)
    after = response.cumulative(x, y, np.array([[response.late]]), SHARP)

    assert before.max() < 1e-6
    np.testing.assert_allclose(after, 1.0, rtol=0, atol=1e-12)


def test_mirror_images_and_exchange_of_the_axes(response: Response) -> None:
    x, y = grid(5)
    t = np.linspace(-5.0, 5.0, 40)[None]
    charge = response.cumulative(x, y, t, 0.2)

    for other in ((-x, y), (x, -y), (y, x), (-y, -x)):
        np.testing.assert_allclose(response.cumulative(*other, t, 0.2), charge, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("x", "y"), OFFSETS)
def test_sharp_arrival_gives_the_integral_of_the_current(x: float, y: float) -> None:
    """I(t) = a/b exp((t-s)/b) + (1-a)/c exp((t-s)/c) up to s, integrated numerically."""
    a, b, c, s = published_shape(x, y)

    def current(t: float) -> float:
        return a / b * np.exp((t - s) / b) + (1 - a) / c * np.exp((t - s) / c)

    for t in (s - 6.0, s - 1.0, s - 0.1, s - 0.01):
        expected = quad(current, s - 120.0, t, epsabs=1e-11, points=[t - 5.0, t - 0.5], limit=300)[0]
        found = Parametrised().cumulative(np.array(x), np.array(y), np.array(t), SHARP)
        assert float(found) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(("x", "y"), OFFSETS)
@pytest.mark.parametrize("sigma", [0.02, 0.2, 1.5])
def test_a_spread_of_arrival_times_is_a_convolution_with_a_gaussian(x: float, y: float, sigma: float) -> None:
    a, b, c, s = published_shape(x, y)

    def sharp(t: float) -> float:
        u = min(t - s, 0.0)
        return a * np.exp(u / b) + (1 - a) * np.exp(u / c)

    for t in s + np.array([-5.0, -1.0, -0.3, 0.0, 0.2]):

        def product(g: float, t: float = t) -> float:
            return sharp(t - sigma * g) * np.exp(-0.5 * g * g) / np.sqrt(2 * np.pi)

        kink = np.clip((t - s) / sigma, -8.9, 8.9)
        expected = quad(product, -9, 9, points=[kink], epsabs=1e-12, limit=300)[0]
        found = Parametrised().cumulative(np.array(x), np.array(y), np.array(t), sigma)
        assert float(found) == pytest.approx(expected, abs=1e-9)


def test_a_narrow_spread_becomes_a_sharp_arrival(response: Response) -> None:
    """The difference falls as sigma squared where the response is smooth, so 1e-4 us leaves nothing."""
    x, y = grid(5)
    t = np.linspace(-8.0, 1.0, 50)[None]

    np.testing.assert_allclose(
        response.cumulative(x, y, t, 1e-4), response.cumulative(x, y, t, 1e-9), rtol=0, atol=1e-6
    )
    finite = response.cumulative(x, y, np.array([[-1e6, -300.0, 300.0, 1e6]]), 1e-9)
    np.testing.assert_allclose(finite, np.broadcast_to([0.0, 0.0, 1.0, 1.0], finite.shape), rtol=0, atol=1e-12)


def test_widths_may_differ_between_the_electrons(response: Response) -> None:
    """Broadcast of sigma: one call equals one call per width."""
    sigma = np.array([0.02, 0.1, 1.0])
    together = response.cumulative(np.array(0.1), np.array(0.2), np.array(1.0), sigma)
    alone = [float(response.cumulative(np.array(0.1), np.array(0.2), np.array(1.0), s)) for s in sigma]

    np.testing.assert_allclose(together, alone, rtol=1e-14)


def test_the_largest_pixel_is_the_last_that_the_coefficients_describe() -> None:
    """b, c > 0 and s <= late all over a pixel of that pitch, no longer over one 0.001 cm larger."""

    def described(pitch: float) -> bool:
        places = np.linspace(0, pitch / 2, 101)
        shapes = np.array([published_shape(x, y) for x in places for y in places])
        return bool((shapes[:, 1:3] > 0).all() and (shapes[:, 3] <= Parametrised.late).all())

    assert described(Parametrised.LARGEST_PITCH)
    assert not described(Parametrised.LARGEST_PITCH + 0.001)


@pytest.mark.parametrize(("x", "y"), [(0.31, 0.1), (-0.1, -0.23)])
def test_a_larger_pixel_is_refused_in_one_sentence(x: float, y: float) -> None:
    places = np.array([[0.0], [x]]), np.array([[0.0], [y]])
    with pytest.raises(ConfigError, match=r"^detector\.response: .* up to a pitch of 0\.452 cm") as refusal:
        Parametrised().cumulative(*places, np.zeros((1, 3)), 0.1)

    assert f"{max(abs(x), abs(y))} cm from the centre" in str(refusal.value)
