"""Hits against a slow, independent integration of the same physics (`tests.witness`)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pipeline.simulate.observe import hits_table
from pipeline.tables import Hits, Segments
from tests.simulate.deposits import MODULE0, deposits, model
from tests.witness import witness

#: Deposits (start, end, dE/dx [MeV/cm]): each its own difficulty.
CASES = {
    "oblique": ([3.10, -20.30, 8.20], [3.95, -19.85, 9.30], 2.2),
    "highly ionising": ([-12.3, 5.1, -14.0], [-12.0, 5.5, -14.6], 14.0),
    "along the drift": ([0.12, 0.10, 5.0], [0.14, 0.10, 8.0], 3.0),
    "along the drift, on a pixel corner": ([0.0, 0.0, -20.0], [0.0, 0.0, -22.0], 4.0),
    "across the cathode": ([7.0, 7.0, -0.7], [7.4, 7.2, 0.9], 2.5),
    "on the anode": ([-5.0, -40.0, 30.0], [-4.3, -40.2, 30.431], 2.1),
    "in front of the response's start": ([-5.0, -40.0, 29.95], [-4.3, -40.2, 29.99], 2.1),
    "over the edge of the plane": ([-31.3, -83.9, 12.0], [-30.6, -83.6, 12.3], 3.0),
    "flat": ([10.0, 10.0, 25.0], [11.2, 10.0, 25.0], 2.0),
}

POINT = {
    **witness.NOMINAL,
    "electric_field": 0.48,
    "electron_lifetime": 900.0,
    "longitudinal_diffusion": 6e-6,
    "transverse_diffusion": 6e-6,
}


def compare(
    segments: Segments,
    values: Mapping[str, float],
    *,
    accuracy: str,
    recombination: str = "birks",
    dtype: torch.dtype = torch.float64,
) -> tuple[Hits, npt.NDArray[np.void]]:
    """Hits of the model and of the witness, which must be of the same pixels and order."""
    simulation = model(segments, accuracy=accuracy, recombination=recombination, dtype=dtype)
    simulated = simulation.hits(values)
    hits = hits_table(simulated, MODULE0, drift_velocity=0.16, event_t0={}, integer_adc=False)
    expected = witness.simulate(
        segments.start, segments.end, segments.dE, segments.dEdx, segments.t0, values, recombination=recombination
    )
    for name in ("tpc", "pixel_x", "pixel_y", "hit"):
        np.testing.assert_array_equal(getattr(hits, name), expected[name])
    return hits, expected


#: Relative error and electrons of the charge, us of the time.
LIMITS = {"default": (2e-3, 60.0, 0.02), "precise": (2e-4, 5.0, 0.002)}


def check(hits: Hits, expected: npt.NDArray[np.void], accuracy: str) -> None:
    relative, electrons, microseconds = LIMITS[accuracy]
    np.testing.assert_allclose(hits.charge, expected["charge"], rtol=relative, atol=electrons)
    np.testing.assert_allclose(hits.t, expected["t"], rtol=0, atol=microseconds)


@pytest.mark.parametrize("case", CASES)
def test_hits_of_one_deposit(case: str) -> None:
    """At both accuracies, each with the other model of recombination."""
    start, end, dedx = CASES[case]
    segments = deposits(start, end, dedx=dedx)
    for accuracy, recombination in (("default", "birks"), ("precise", "box")):
        hits, expected = compare(segments, POINT, accuracy=accuracy, recombination=recombination)
        assert len(hits) >= 1
        check(hits, expected, accuracy)


def test_a_deposit_that_is_nearly_a_point() -> None:
    segments = deposits([2.0, 2.0, 18.0], [2.0, 2.000001, 18.0], dedx=5.0, energy=1.0)
    for accuracy in LIMITS:
        hits, expected = compare(segments, POINT, accuracy=accuracy)
        assert len(hits) == 1
        check(hits, expected, accuracy)


def test_many_deposits_share_pixels() -> None:
    """A kinked track and a short branch, with delays, in single precision."""
    corners = np.array([[1.0, 1.0, 10.0], [1.6, 1.2, 10.4], [2.1, 1.7, 10.3], [2.3, 1.8, 9.5]])
    start, end = np.concatenate([corners[:-1], corners[1:2]]), np.concatenate([corners[1:], [[1.5, 1.3, 12.0]]])
    segments = deposits(start, end, dedx=[2.0, 2.5, 3.0, 6.0], t0=[4.0, 4.001, 4.002, 6.2])

    hits, expected = compare(segments, POINT, accuracy="default", dtype=torch.float32)

    assert len(hits) >= 8
    check(hits, expected, "default")


@pytest.mark.slow
@pytest.mark.parametrize("accuracy", LIMITS)
@pytest.mark.parametrize("end", [[14.0, 12.0, 27.6], [0.6, 0.3, 29.6], [28.0, 9.0, 1.6]])
def test_a_deposit_of_up_to_29_centimetres(accuracy: str, end: list[float]) -> None:
    """In one piece, oblique, along the drift, and along the anode plane."""
    segments = deposits([0.0, 0.0, 0.6], end, dedx=2.3)
    hits, expected = compare(segments, POINT, accuracy=accuracy)

    assert len(hits) > 20
    check(hits, expected, accuracy)
