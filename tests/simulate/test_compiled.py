"""Sums in machine code are those in tensors, whatever packets, runs and derivatives there are."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.simulate import compiled, tensors
from pipeline.simulate.accuracy import ACCURACY
from pipeline.simulate.charge import PixelCharges, Places, Runs, pixel_charges
from pipeline.simulate.drift import QUANTITIES, Tangents
from pipeline.simulate.response_table import ResponseTable, response_table
from pipeline.tables import Floats

PITCH = 0.4
PIXELS = 7
PARAMETERS = 5


def table(accuracy: str, dtype: torch.dtype = torch.float64) -> ResponseTable:
    return response_table("parametrised", PITCH, ACCURACY[accuracy], dtype, torch.device("cpu"))


def charges(
    seed: int,
    moving: tuple[str, ...] | None = QUANTITIES,
    *,
    accuracy: str = "default",
    dtype: torch.dtype = torch.float64,
) -> PixelCharges:
    """Packets of 40 nodes on seven pixels, one of which has none, and tangents of the quantities that are `moving`."""
    rng = np.random.default_rng(seed)
    nodes, sizes = 40, np.array([3, 0, 25, 1, 60, 12, 4])
    n = int(sizes.sum())

    def tensor(values: object) -> Tensor:
        return torch.as_tensor(values, dtype=dtype)

    shift = rng.normal(0, 0.01, (2, nodes))
    widths = rng.uniform(0.005, 0.2, nodes), rng.uniform(0.01, 2.5, nodes)  # some outside the range of the table
    quantities = (rng.uniform(10, 5000, nodes), *shift, rng.uniform(0, 30, nodes), *widths)
    places = Places(
        torch.from_numpy(rng.integers(0, nodes, n)),
        *(tensor(v) for v in (*rng.uniform(-0.8, 0.8, (2, n)), rng.uniform(0, 3, n))),
    )
    slopes = None if moving is None else Tangents(moving, tensor(rng.normal(size=(nodes, len(moving), PARAMETERS))))
    first = torch.from_numpy(np.append(0, np.cumsum(sizes)))
    return pixel_charges(table(accuracy, dtype), PITCH, first, places, tuple(map(tensor, quantities)), slopes)


def requests(seed: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Pixels in any order, and times before, within and after all arrivals."""
    rng = np.random.default_rng(seed)
    pixel = torch.from_numpy(np.append(rng.integers(0, PIXELS, 60), np.arange(PIXELS)))
    return pixel, torch.as_tensor(rng.uniform(-20, 60, len(pixel)), dtype=dtype)


def runs_of(of: PixelCharges, longest: int) -> Runs:
    """Runs of up to so many packets."""
    first = of.first.numpy()
    packet = np.concatenate([*(np.arange(a, b, longest) for a, b in pairwise(first)), first[-1:]])
    return Runs(torch.from_numpy(np.searchsorted(packet, first)), torch.from_numpy(packet))


@pytest.mark.parametrize("accuracy", ["default", "precise"])
@pytest.mark.parametrize("derivatives", [False, True])
def test_weights(accuracy: str, derivatives: bool) -> None:
    rng = np.random.default_rng(3)
    x, y = torch.from_numpy(rng.uniform(-1, 1, (2, 3000)))
    sigma = torch.from_numpy(rng.uniform(0.003, 0.3, 3000))

    found, expected = (
        way.weights(table(accuracy), PITCH, x, y, sigma, derivatives=derivatives) for way in (compiled, tensors)
    )

    assert found.shape == (3000, 4 if derivatives else 1, ACCURACY[accuracy].shapes)
    scale = expected.abs().amax(dim=(0, 2), keepdim=True)
    assert float(((found - expected).abs() / scale).max()) < 1e-12


@pytest.mark.parametrize("orders", [0, 1, 2])
@pytest.mark.parametrize("longest", [1, 4, 1000])
@pytest.mark.parametrize("moving", [QUANTITIES, ("charge", "time"), ("x", "sigma_time"), ()])
def test_sums(moving: tuple[str, ...], longest: int, orders: int) -> None:
    of = charges(7, moving)
    runs, (pixel, time) = runs_of(of, longest), requests(8)

    found, expected = (way.sums(of, runs, pixel, time, orders) for way in (compiled, tensors))

    assert len(found[0]) == int(runs.counts(pixel).sum()) > 0
    assert found[1].shape == (len(found[0]), orders, PARAMETERS)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.numpy() == pytest.approx(theirs.numpy(), rel=1e-10, abs=1e-7)


@pytest.mark.parametrize("accuracy", ["coarse", "precise"])
def test_sums_without_derivatives_are_the_same_to_the_last_bit(accuracy: str) -> None:
    """Hits of a simulation do not depend on what else is asked for."""
    of, without = charges(7, accuracy=accuracy), charges(7, None, accuracy=accuracy)
    pixel, time = requests(8)

    (value, _), (alone, _) = (c.sums(c.in_pixels, pixel, time, 2 if c is of else 0) for c in (of, without))

    assert torch.equal(value, alone)
    assert torch.equal(of.total(), without.total())


def test_single_precision() -> None:
    """To the rounding of times of 30 us and of sums over up to sixty packets."""
    of, precise = charges(7, dtype=torch.float32), charges(7)
    pixel, time = requests(8)

    value, slope = of.sums(of.in_pixels, pixel, time.float(), 2)
    exact, exact_slope = precise.sums(precise.in_pixels, pixel, time, 2)

    assert value.dtype == slope.dtype == torch.float32
    assert value[:, 0].numpy() == pytest.approx(exact[:, 0].numpy(), rel=1e-4, abs=0.5)
    assert float((slope - exact_slope).abs().max() / exact_slope.abs().max()) < 1e-4


def test_nothing_arrives_before_and_all_of_it_in_the_end() -> None:
    of = charges(7)
    pixel = torch.arange(PIXELS)

    early, _ = of.evaluate(pixel, torch.full((PIXELS,), -1e6, dtype=torch.float64))
    late, current = of.evaluate(pixel, torch.full((PIXELS,), 1e6, dtype=torch.float64))

    assert early.numpy() == pytest.approx(0.0, abs=1e-3)
    assert late.numpy() == pytest.approx(of.total().numpy(), rel=1e-6, abs=1e-6)
    assert current.numpy() == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("implementation", [compiled, tensors])
def test_what_is_no_number_stays_so_and_is_not_looked_for_outside_the_table(implementation: Any) -> None:
    of = charges(7)
    pixel, lost = torch.tensor([0, 2]), replace(of, time=of.time * np.nan)

    values, _ = implementation.sums(of, of.in_pixels, pixel, torch.tensor([np.nan, 10.0], dtype=torch.float64), 0)
    none, _ = implementation.sums(lost, of.in_pixels, pixel, torch.tensor([0.0, 10.0], dtype=torch.float64), 0)

    assert torch.isnan(values[0]).all() and torch.isfinite(values[1]).all()
    assert torch.isnan(none).all()


def test_no_requests_and_no_packets() -> None:
    of = charges(7)
    none = torch.zeros(0, dtype=torch.int64)

    value, slope = of.sums(of.in_pixels, none, none.double(), 2)
    empty, _ = of.evaluate(torch.tensor([1]), torch.tensor([3.0], dtype=torch.float64))

    assert value.shape == (0, 2) and slope.shape == (0, 2, PARAMETERS)
    assert empty.tolist() == [0.0]


def test_requests_that_machine_code_would_not_notice_are_refused() -> None:
    of, still = charges(7), charges(7, None)
    pixel, time = torch.tensor([0, 2]), torch.tensor([1.0, 2.0], dtype=torch.float64)

    for wrong in ((of, pixel, time[:1], 1), (of, pixel - 1, time, 1), (still, pixel, time, 1)):
        with pytest.raises(AssertionError):
            wrong[0].sums(of.in_pixels, *wrong[1:])


@pytest.mark.parametrize("when", ["made", "called"])
@pytest.mark.parametrize("error", [RuntimeError("cannot cache function"), OSError(28, "No space left"), EOFError()])
def test_where_nothing_can_be_kept_it_is_compiled_every_time(
    monkeypatch: pytest.MonkeyPatch, when: str, error: Exception
) -> None:
    """A program that is installed for many and a user without a home; a full disk; a file that a crash has cut."""
    njit = numba.njit

    def failing(*_: object) -> None:
        raise error

    def unkept(*, cache: bool = False, **how: Any) -> Any:
        if not cache:
            return njit(**how)
        return failing if when == "made" and isinstance(error, RuntimeError) else lambda function: failing

    monkeypatch.setattr(numba, "njit", unkept)

    def doubled(values: Floats, into: Floats) -> None:
        into[0] = 2 * values.sum()

    twice = compiled.Compiled(doubled)
    for values, expected in (([1.0, 2.5], 7.0), ([1.0], 2.0)):
        total = np.zeros(1)
        twice(np.array(values), total)
        assert total.tolist() == [expected]


def test_what_is_wrong_in_a_function_is_said() -> None:
    def beside(values: Floats) -> None:
        values.no_such_thing()  # type: ignore[attr-defined]

    with pytest.raises(numba.core.errors.TypingError, match="no_such_thing"):
        compiled.Compiled(beside)(np.zeros(1))
