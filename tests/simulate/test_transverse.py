"""Weights of a Gaussian cloud on the tents of a pixel: closed forms against conservation, moments, differences."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import Tensor

from pipeline.simulate.transverse import AxisWeights

PITCH = 0.4434
INTERVALS = 10
HALF = PITCH / 2

#: Clouds in and outside the pixel, at its edge and centre, narrow and wide [cm].
OFFSETS = [0.0, 0.013, 0.15, -0.21, HALF, -HALF, 0.3, -0.5]
SIGMAS = [0.003, 0.02, 0.08, 0.3]


def clouds() -> tuple[Tensor, Tensor]:
    offset, sigma = np.meshgrid(OFFSETS, SIGMAS)
    return torch.tensor(offset.ravel()), torch.tensor(sigma.ravel())


def weights(offset: Tensor, sigma: Tensor) -> AxisWeights:
    return AxisWeights(offset, sigma, PITCH, INTERVALS)


def fraction_inside(offset: float, sigma: float) -> float:
    low, high = ((edge - offset) / sigma / math.sqrt(2) for edge in (-HALF, HALF))
    return 0.5 * (math.erf(high) - math.erf(low))


def test_the_tents_share_what_falls_on_the_pixel() -> None:
    offset, sigma = clouds()
    expected = [fraction_inside(float(o), float(s)) for o, s in zip(offset, sigma, strict=True)]

    np.testing.assert_allclose(weights(offset, sigma).value.sum(dim=1), expected, rtol=0, atol=1e-14)


def test_the_tents_keep_the_mean_distance_from_the_centre() -> None:
    """Tents are linear, so the sum of weight times knot is the integral of |x| over the cloud inside the pixel."""
    offset, sigma = clouds()
    knots = np.arange(INTERVALS + 1) * HALF / INTERVALS
    found = weights(offset, sigma).value.numpy() @ knots
    for row, (o, s) in enumerate(zip(offset.tolist(), sigma.tolist(), strict=True)):

        def moment(x: float, o: float = o, s: float = s) -> float:
            return abs(x) * math.exp(-0.5 * ((x - o) / s) ** 2) / (s * math.sqrt(2 * math.pi))

        near = sorted({float(np.clip(o + k * s, -HALF, HALF)) for k in (-6, -2, 0, 2, 6)} | {0.0})
        expected = quad(moment, -HALF, HALF, points=near, epsabs=1e-13, limit=200)[0]
        assert found[row] == pytest.approx(expected, abs=1e-11)


def test_every_tent_is_its_integral_over_the_cloud() -> None:
    """On the folded pixel, one tent at a time."""
    offset, sigma, step = 0.07, 0.05, HALF / INTERVALS
    found = weights(torch.tensor([offset], dtype=torch.float64), torch.tensor([sigma], dtype=torch.float64)).value[0]
    for number in range(INTERVALS + 1):

        def integrand(x: float, number: int = number) -> float:
            tent = max(0.0, 1.0 - abs(abs(x) / step - number))
            return tent * math.exp(-0.5 * ((x - offset) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))

        kinks = [k * step for k in (number - 1, number, number + 1) if 0 <= k <= INTERVALS]
        expected = quad(integrand, -HALF, HALF, points=sorted({*kinks, *(-k for k in kinks)}), epsabs=1e-13, limit=200)[
            0
        ]
        assert float(found[number]) == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("quantity", ["offset", "sigma"])
def test_derivatives_against_central_differences(quantity: str) -> None:
    """Fourth-order differences with steps in proportion to the width, as that sets how fast the weights change."""
    offset, sigma = clouds()
    step = 2e-3 * sigma

    def at(k: int) -> Tensor:
        moved = (offset + k * step, sigma) if quantity == "offset" else (offset, sigma + k * step)
        return weights(*moved).value

    difference = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step[:, None])
    exact = getattr(weights(offset, sigma), f"by_{quantity}")()

    # In units of 1 / sigma, the natural size of these derivatives.
    np.testing.assert_allclose(exact * sigma[:, None], difference * sigma[:, None], rtol=0, atol=1e-9)
    np.testing.assert_allclose(exact, difference, rtol=1e-7, atol=1e-7)


def test_mirror_images_have_the_same_weights() -> None:
    offset, sigma = clouds()

    np.testing.assert_allclose(weights(offset, sigma).value, weights(-offset, sigma).value, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_clouds(dtype: torch.dtype) -> None:
    """Points, clouds at the edge and far outside: finite, and the limits."""
    offset = torch.tensor([0.0, 0.1 * PITCH, HALF, 5.0, -5.0, 0.0], dtype=dtype)
    sigma = torch.tensor([1e-4, 1e-4, 1e-4, 0.1, 0.1, 50.0], dtype=dtype)
    w = weights(offset, sigma)
    for tensor in (w.value, w.by_offset(), w.by_sigma()):
        assert torch.isfinite(tensor).all()
    total = w.value.sum(dim=1).double()
    atol = 1e-5 if dtype == torch.float32 else 1e-13

    np.testing.assert_allclose(total[:5], [1.0, 1.0, 0.5, 0.0, 0.0], rtol=0, atol=atol)
    assert float(total[5]) == pytest.approx(PITCH / 50 / math.sqrt(2 * math.pi), rel=1e-4)
    # A point keeps its place: a tenth of the pitch lies on the fifth part of the half pixel's ten intervals.
    np.testing.assert_allclose(w.value[1].double(), np.eye(INTERVALS + 1)[2], rtol=0, atol=0.01)
    assert float(w.value.min()) > -1e-4 if dtype == torch.float32 else float(w.value.min()) > -1e-13
