"""Weakest directions: the sentences say what can be computed from the information."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pipeline.calibrate.directions import weakest
from pipeline.calibrate.information import Spectrum
from pipeline.parameters import CALIBRATED, nominal_values

from .linear import parameters

NOMINAL = nominal_values()


def said(information, *names, values=NOMINAL, precision=1e-13):
    return weakest(Spectrum(np.asarray(information, dtype=float), precision), parameters(*names), values)


def pair(first: float, second: float, correlation: float) -> np.ndarray:
    """Information of two parameters with these conditional sigmas, whose estimates have this correlation."""
    return np.array([[1.0, -correlation], [-correlation, 1.0]]) / np.outer([first, second], [first, second])


def test_two_parameters_that_hang_together():
    """Eigenvalue 1 - 0.995 = 0.005: the step is 1 / sqrt(2 x 0.005) = 10 conditional sigmas of each."""
    assert said(pair(0.001, 0.01, 0.995), "birks_ab", "birks_kb") == (
        "A_B and k_B are hardly told apart: raising A_B by 1 % and k_B by 10 % together moves the fit by only one "
        "standard deviation, A_B alone by 10 and k_B alone by 10; correlation 0.995.",
    )


def test_a_direction_in_the_inverse_of_a_parameter_is_said_of_its_value():
    """Where x = nominal / tau rises with A_B, tau falls."""
    [sentence] = said(pair(0.001, 0.01, 0.995), "birks_ab", "electron_lifetime")
    assert "hardly told apart: raising A_B by 1 % and lowering tau by 10 % together" in sentence
    assert sentence.endswith("correlation -0.995.")


def test_percent_are_those_of_the_values_not_of_nominal():
    [sentence] = said(pair(0.001, 0.01, 0.995), "birks_ab", "birks_kb", values={"birks_ab": 1.6, "birks_kb": 0.0243})
    assert "raising A_B by 0.5 % and k_B by 20 % together" in sentence


def test_a_parameter_whose_nominal_value_is_nothing_moves_in_its_unit():
    [sentence] = said(pair(0.01, 0.004, 0.995), "electric_field", "shift_z", values={**NOMINAL, "shift_z": 1e-9})
    assert "raising E by 10 % and dz by 0.04 cm together" in sentence


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.85, -0.85])
def test_what_is_told_apart_is_not_worth_a_sentence(correlation):
    assert said(pair(0.001, 0.01, correlation), "birks_ab", "birks_kb") == ()


def test_the_weakest_comes_first_and_names_only_those_that_make_it():
    information = np.zeros((4, 4))
    information[:2, :2] = pair(0.01, 0.02, 0.92)
    information[2:, 2:] = pair(0.01, 0.02, -0.999)
    first, second = said(information, "birks_ab", "birks_kb", "longitudinal_diffusion", "transverse_diffusion")
    assert first.startswith("D_L and D_T are hardly told apart: raising D_L by 22 % and lowering D_T by 45 % together")
    assert second.startswith("A_B and k_B are not told apart well: ")


def test_a_direction_that_is_not_held_at_all():
    one = np.array([[1.0, -1.0], [-1.0, 1.0]]) / np.outer([0.1, 0.5], [0.1, 0.5])
    assert said(one, "birks_ab", "birks_kb") == (
        "A_B and k_B cannot be told apart: raising A_B by 2 % and k_B by 10 % together changes nothing in the fit.",
    )
    assert said(np.diag([1.0, 0.0]), "birks_ab", "birks_kb") == (
        "k_B is not determined by these data: raising k_B by 10 % changes nothing.",
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_step_in_the_sentence_raises_chi2_by_one(seed):
    """Read the sentence, move the parameters by what it says, and look: to the two digits of its numbers."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(9, 6)) * 10.0 ** rng.uniform(1, 3, 6)
    information = root.T @ root
    symbols = {p.symbol: i for i, p in enumerate(parameters(*CALIBRATED))}
    for sentence in said(information, *CALIBRATED):
        step, moves = np.zeros(6), sentence.split(": ")[1].split(" together")[0]
        sign = 1.0
        for verb, symbol, percent in re.findall(r"(raising |lowering |)(\w+) by ([\d.e-]+) %", moves):
            sign = {"raising ": 1.0, "lowering ": -1.0, "": sign}[verb]
            # At the nominal point the coordinate of the lifetime falls as the lifetime rises.
            step[symbols[symbol]] = sign * float(percent) / 100 * (-1 if symbol == "tau" else 1)
        alone = dict(re.findall(r"(\w+) alone by (\d+(?:\.\d+)?)", sentence))
        assert set(alone) == {s for s, i in symbols.items() if step[i]}
        for symbol, sigmas in alone.items():
            i = symbols[symbol]
            assert abs(step[i]) * np.sqrt(information[i, i]) == pytest.approx(float(sigmas), rel=0.1)
        # Rounding by 5 % of a part that alone makes s sigmas moves the fit by up to 0.05 s.
        slack = 0.05 * np.hypot.reduce([float(s) for s in alone.values()])
        assert abs(np.sqrt(step @ information @ step) - 1) < slack
