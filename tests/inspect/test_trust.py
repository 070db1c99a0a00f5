"""Verdicts on fits: each reason can decide, is named, and comes with what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.inspect.trust import Facts, facts_of, judge, percent, signed
from pipeline.tables import FitResult

from ..report.samples import NOISELESS, NOISY, fit_result, measured_result

LIKELIHOOD = facts_of(NOISY)
WITHOUT_NOISE = facts_of(NOISELESS)


def changed(result: FitResult, number: int = 0, **fields: object) -> FitResult:
    parameters = list(result.parameters)
    parameters[number] = replace(parameters[number], **fields)  # type: ignore[arg-type]
    return replace(result, parameters=tuple(parameters))


def known(result: FitResult, **fields: Any) -> FitResult:
    assert result.uncertainty is not None
    return replace(result, uncertainty=replace(result.uncertainty, **fields))


def scaled(result: FitResult, factor: float) -> FitResult:
    """With another observed information."""
    assert result.uncertainty is not None
    return known(result, others={"observed information": factor**2 * result.uncertainty.covariance})


def test_a_good_fit_is_trusted_and_the_sentence_says_why() -> None:
    trust = judge(measured_result(), LIKELIHOOD)
    assert trust.verdict == "good" and not trust.against()
    assert trust.sentence.startswith("These values can be trusted within their uncertainties: the fit converged;")
    assert "observed information and expected information agree to 3 %" in trust.sentence
    assert "A_B and k_B are known well only together (correlation 0.99)" in trust.sentence
    share = measured_result().parameters[1].uncertainty / measured_result().parameters[1].value  # type: ignore[operator]
    assert f"the least known is k_B, to {100 * share:.0f} %" in trust.sentence
    assert "the targets are where the uncertainties say (chi2" in trust.sentence


def test_without_strong_correlations_the_largest_is_told() -> None:
    assert GOOD.uncertainty is not None
    weaker = GOOD.uncertainty.covariance.copy()
    weaker[0, 1] = weaker[1, 0] = -0.5 * math.sqrt(weaker[0, 0] * weaker[1, 1])
    sentence = judge(known(GOOD, covariance=weaker, others={}), LIKELIHOOD).sentence
    assert "the largest correlation is -0.50, of A_B and k_B" in sentence


def test_noisy_residuals_far_off_are_sent_to_the_likelihood() -> None:
    far = measured_result(2, wider=5.0)
    for facts, advice in ((Facts(True, "matched_residuals", masked=True), "likelihood"), (LIKELIHOOD, "what differs")):
        (reason,) = judge(far, facts).against()
        assert advice in reason.advice


def test_a_fit_without_noise_anywhere_is_good_without_uncertainty() -> None:
    trust = judge(fit_result(), WITHOUT_NOISE)
    assert trust.verdict == "good"
    assert trust.sentence.startswith("These values can be used: the fit converged;")


GOOD = measured_result()
NAN = np.full((6, 6), np.nan)
CASES: Mapping[str, tuple[FitResult, Facts, str, str]] = {
    "not converged": (
        replace(GOOD, converged=False, status="Stopped: 40 iterations."), LIKELIHOOD, "bad", "“Stopped: 40 iterations”",
    ),
    "no number": (changed(GOOD, 1, value=math.nan), LIKELIHOOD, "bad", "k_B is no finite number"),
    "noise not in the fit": (fit_result(), Facts(noisy=True), "care", "noise that is not in the fit"),
    "noise not recorded": (fit_result(), Facts(), "care", "not recorded"),
    "data without noise": (GOOD, replace(LIKELIHOOD, noisy=False), "care", "which the data do not carry"),
    "threshold": (GOOD, Facts(True, "matched_residuals"), "care", "near the threshold"),
    "reconstructed": (GOOD, replace(LIKELIHOOD, reconstructed=True), "care", "their errors are in no uncertainty"),
    "outliers": (
        replace(GOOD, diagnostics={"hits_used": 97.0, "unmatched_data": 3.0}), LIKELIHOOD, "care", "3 % of the hits",
    ),
    "unmatched": (
        replace(fit_result(), diagnostics={"unmatched_fraction": 0.07}), WITHOUT_NOISE, "care", "7 % of the hits have",
    ),
    "no second uncertainty": (
        known(GOOD, others={"observed information": NAN}), LIKELIHOOD, "care", "gives no uncertainty to compare with",
    ),
    "too small": (scaled(GOOD, 1.3), LIKELIHOOD, "care", "gives 1.3 times the uncertainty of A_B"),
    "too large": (scaled(GOOD, 0.7), LIKELIHOOD, "care", "gives 0.7 times the uncertainty"),
    "singular": (known(GOOD, covariance=NAN, others={}), LIKELIHOOD, "care", "there is no uncertainty of A_B, k_B"),
    "ill-conditioned": (
        known(GOOD, eigenvalues=np.array([1e-12, 1, 1, 1, 1, 2.0])), LIKELIHOOD, "care", "condition number 2.0e+12",
    ),
    "wide": (
        known(GOOD, covariance=100 * GOOD.uncertainty.covariance, others={}),  # type: ignore[union-attr]
        LIKELIHOOD, "care", "the data tell k_B to 105 %, tau to 42 % and D_L to 68 % only",
    ),
    "far pulls": (measured_result(2, wider=5.0), LIKELIHOOD, "care", "farther from their targets"),
    "far without noise": (
        changed(fit_result(), 2, value=0.6, target=0.5), WITHOUT_NOISE, "care", "E is 20 % off its target",
    ),
    "unusual": (
        changed(fit_result(known=False), 2, value=0.6), WITHOUT_NOISE, "care", "E = 0.6 lies outside its usual range",
    ),
    "remark": (
        replace(GOOD, warnings=("Start 2 ended elsewhere.",)), LIKELIHOOD, "care", "“Start 2 ended elsewhere”",
    ),
    "held off": (
        changed(fit_result(), 1, free=False, value=0.05, target=0.06), WITHOUT_NOISE, "care", "k_B was held",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_every_reason_decides_and_is_named(name: str) -> None:
    result, facts, verdict, words = CASES[name]
    trust = judge(result, facts)
    assert trust.verdict == verdict and words in trust.sentence
    assert trust.sentence.startswith({"bad": "Do not use these values", "care": "Use these values with care"}[verdict])
    assert trust.sentence.count(". ") == 0 and trust.sentence.endswith(".")
    if verdict == "care":
        assert all(reason.advice for reason in trust.against())


def test_what_is_within_the_uncertainties_decides_nothing() -> None:
    outside = changed(measured_result(known=False), 2, value=0.551, uncertainty=0.001)
    assert judge(outside, LIKELIHOOD).verdict == "good"
    assert judge(changed(outside, 2, value=0.554), LIKELIHOOD).verdict == "care"
    assert judge(scaled(measured_result(), 1.19), LIKELIHOOD).verdict == "good"
    masked = Facts(True, "matched_residuals", masked=True)
    assert judge(measured_result(), masked).verdict == "good"


def test_a_wide_value_with_a_profile_interval_is_told_well_enough() -> None:
    wide, facts, *_ = CASES["wide"]
    assert wide.uncertainty is not None
    every = {name: (0.0, 1.0) for name in wide.uncertainty.names}
    assert judge(known(wide, intervals=every), facts).verdict == "good"


def test_one_in_ten_thousand_good_fits_may_be_doubted_for_its_pulls() -> None:
    verdicts = [judge(measured_result(seed), LIKELIHOOD).verdict for seed in range(200)]
    assert verdicts.count("care") <= 1 and "bad" not in verdicts


@pytest.mark.parametrize("record", [{}, {"config": None}, {"config": {"data": 3, "method": {"a": 1}}}])
def test_records_of_other_forms_tell_nothing(record: dict[str, Any]) -> None:
    assert facts_of(record) == Facts()


def test_segments_that_are_not_taken_for_true_may_be_reconstructed() -> None:
    made = {"config": {"method": {"m": {"objective": "marginal_likelihood"}}}, "inputs": {"reconstructed": "ab"}}
    assert facts_of(made).reconstructed
    assert "reconstructed segments" not in [r.topic for r in judge(GOOD, facts_of(made)).reasons]


def test_a_record_tells_noise_objective_and_mask() -> None:
    method = {"mine": {"objective": "matched_residuals", "min_charge_electrons": 11000.0}}
    record = {"config": {"data": {"noise": True}, "method": method}}
    assert facts_of(record) == Facts(True, "matched_residuals", masked=True)


def test_shares_and_correlations_in_words() -> None:
    assert [percent(v) for v in (1.0, 0.5, 0.1, 0.031, 0.0)] == ["100 %", "50 %", "10 %", "3.1 %", "0 %"]
    assert [signed(v) for v in (1.0, -1.0, 0.994, -0.9967, -1e-5)] == ["1", "-1", "0.99", "-0.9967", "0.00"]
