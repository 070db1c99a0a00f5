import math

import pytest

from pipeline.parameters import Parameter, table
from pipeline.report import words


def test_parameters_are_typeset_with_symbol_and_unit() -> None:
    known = table()
    assert words.label_with_unit(known["birks_ab"]) == "Birks A<sub>B</sub>"
    assert words.label_with_unit(known["electron_lifetime"]) == "Electron lifetime τ [μs]"
    assert words.label_with_unit(known["transverse_diffusion"]) == "Transverse diffusion D<sub>T</sub> [10⁻⁶ cm²/μs]"


def test_scaled_value_times_the_power_in_the_unit_is_the_value() -> None:
    for parameter in table().values():
        value = 1.2345 * (parameter.nominal or 1.0)
        assert words.scaled(parameter, value) * 10.0 ** words.display_power(parameter) == pytest.approx(
            value, rel=1e-15
        )


def test_hostile_names_become_text() -> None:
    hostile = Parameter("<b>", "<i>_<u>", "<s>", 1.0, 0.0, 2.0, "")
    assert "<b>" not in words.label_with_unit(hostile).replace("<sub>", "")
    assert "<i>" not in words.symbol(hostile)
    assert "<s>" not in words.display_unit(hostile)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.8, "0.800000"),
        (2200.0, "2200.00"),
        (-1.5e-9, "−1.50000 × 10⁻⁹"),
        (123456789.0, "1.23457 × 10⁸"),
        (math.nan, "not a number"),
        (-math.inf, "−∞"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert words.number(value) == text


def test_percent_keeps_small_differences_apart_from_none() -> None:
    assert words.percent(0.0) == "0 %"
    assert words.percent(1.9e-11) == "1.9 × 10⁻⁹ %"
    assert words.percent(0.0012, sign="+") == "+0.12 %"


def test_counts_agree_with_their_noun() -> None:
    assert words.count(1, "track") == "1 track"
    assert words.count(51819, "track") == "51\u202f819 tracks"


def test_unknown_species_are_called_by_their_code() -> None:
    assert words.species(13) == "mu-"
    assert words.species(99999999) == "PDG 99999999"
