"""Values and uncertainties as physicists write them."""

import math
from decimal import Decimal

import numpy as np
import pytest

from pipeline.rounding import measured, rounded


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [
        (0.81234, 0.0034, "0.8123 +- 0.0034"),
        (12.34, 9.96, "12 +- 10"),
        (12.34, 9.94, "12.3 +- 9.9"),
        (0.0996, 0.0996, "0.10 +- 0.10"),
        (2200.0, 74.0, "2200 +- 74"),
        (2211.0, 996.0, "2200 +- 1000"),
        (56789.0, 1234.0, "56800 +- 1200"),
        (-0.001, 0.3, "0.00 +- 0.30"),
        (0.0, 0.05, "0.000 +- 0.050"),
        (1.5e-9, 2.3e-11, "(1.500 +- 0.023)e-9"),
        (1.23456e8, 2e6, "(1.235 +- 0.020)e8"),
        (0.5, 0.0, "0.500000 +- 0"),
        (math.inf, 3.0, "inf +- 3.0"),
        (1000.0, math.inf, "1000.00 +- inf"),
        (1000.0, math.nan, "1000.00 +- nan"),
        (math.nan, 0.1, "nan +- 0.10"),
        (3.0, -1.0, "3.00000 +- -1.0"),
        (0.8123456, 1e-20, "0.812345600000000 +- 1.0e-20"),
    ],
)
def test_two_digits_of_the_uncertainty_and_the_value_to_the_same(value: float, uncertainty: float, text: str) -> None:
    assert str(rounded(value, uncertainty)) == text


def test_no_value_is_moved_by_more_than_a_twentieth_of_its_uncertainty() -> None:
    """Two digits mean a last place of at most a tenth of the uncertainty, whatever their sizes."""
    random = np.random.default_rng(3)
    for value, size, ratio in zip(random.normal(0, 1, 500), random.uniform(-12, 12, 500), random.uniform(-6, 3, 500)):
        number = value * 10**size
        uncertainty = abs(number) * float(10**ratio)
        shown = rounded(number, uncertainty)
        back, width = (float(Decimal(text).scaleb(shown.power)) for text in (shown.value, shown.uncertainty))
        assert abs(back - number) <= 0.0501 * uncertainty
        assert width == pytest.approx(uncertainty, rel=0.0501)
        assert len(shown.uncertainty.replace(".", "").strip("0")) <= 2
        if "." in shown.uncertainty:
            assert len(shown.value.partition(".")[2]) == len(shown.uncertainty.partition(".")[2])


def test_without_uncertainty_a_value_is_written_alone() -> None:
    assert measured(0.8123456789, None) == "0.812346"
    assert measured(0.8123456789, 0.01) == "0.812 +- 0.010"
