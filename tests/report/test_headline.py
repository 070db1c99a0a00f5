"""The answer of the page agrees with the verdicts on its fits, and with their pulls together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.report.headline import headline, joint_by_method, unlikely
from pipeline.report.outcome import Fit, titled
from pipeline.tables import FitResult

from .samples import NOISELESS, NOISY, fit_result, measured_fits, measured_result, some_fits
from .test_outcome import AB, LIFETIME, result_of


def headline_of(*results: FitResult) -> tuple[str, ...]:
    found = headline(titled([Fit(f"t{i}", "m", result, NOISELESS) for i, result in enumerate(results)]))
    return found.verdict, *found.sentences


def test_headline_of_good_fits_names_the_worst_parameter() -> None:
    verdict, first, second, _ = headline_of(result_of(AB), result_of(LIFETIME))
    assert verdict == "good"
    assert first == "All 2 fits converged."
    assert "10 % (electron lifetime of t1)" in second


def test_headline_names_failed_fits_and_leaves_their_errors_out() -> None:
    verdict, first, second, _ = headline_of(result_of(AB), result_of(LIFETIME, converged=False))
    assert verdict == "mixed"
    assert first == "1 of 2 fits converged; not to be used: t1."
    assert "2.5 % (birks ab)" in second


def test_headline_of_failed_fits_claims_no_accuracy() -> None:
    verdict, first, second = headline_of(result_of(LIFETIME, converged=False))
    assert (verdict, first) == ("bad", "The fit did not converge.")
    assert "%" not in second


def test_headline_says_that_targets_are_unknown() -> None:
    assert "not known" in headline_of(fit_result(known=False))[2]


def test_good_fits_with_uncertainties_are_trusted_because_of_their_pulls() -> None:
    fits = measured_fits(20)
    found = headline(titled(fits))
    assert found.verdict == "good"
    assert "confirm" in found.sentences[2]
    (pulls,) = joint_by_method(fits).values()
    assert pulls.freedom == 120 and f"chi2 {pulls.chi2:.3g} for 120" in found.sentences[2]


@pytest.mark.parametrize("wider", [1.6, 0.5])
def test_pulls_that_are_too_wide_or_too_narrow_together_are_no_success(wider: float) -> None:
    """No single fit is far enough off to be suspicious: only all of them together are."""
    fits = [Fit(f.target, f.method, measured_result(n, wider=wider), NOISY) for n, f in enumerate(measured_fits(30))]
    fits = [fit for fit in fits if fit.trust.verdict == "good"]
    assert len(fits) > 20
    found = headline(titled(fits))
    assert found.verdict == "care" and "do not scatter as the uncertainties say" in found.sentences[2]
    assert unlikely(joint_by_method(fits)["likelihood"])


def test_noise_that_a_method_does_not_know_is_named_with_its_fits_and_what_to_do() -> None:
    residuals = [replace(fit, provenance={"config": {"data": {"noise": True}}}) for fit in some_fits(3)]
    found = headline(titled([*measured_fits(3), *residuals]))
    assert found.verdict == "care"
    assert "noise that is not in the fit (all 3 fits by gauss_newton: fit with the method likelihood)" in " ".join(
        found.sentences
    )


def test_red_beats_amber() -> None:
    noisy = {"config": {"data": {"noise": True}}}
    doubtful = Fit("a", "m", fit_result(), noisy)
    assert headline(titled([doubtful])).verdict == "care"
    assert headline(titled([doubtful, Fit("b", "m", fit_result(2, converged=False))])).verdict == "mixed"
    assert headline(titled([Fit("b", "m", fit_result(2, converged=False))])).verdict == "bad"


def test_trust_is_only_in_the_fits_that_converged() -> None:
    found = headline(titled([*measured_fits(2), Fit("x", "likelihood", fit_result(3, converged=False), NOISY)]))
    assert found.sentences[2].startswith("Of the converged fits: the values can be trusted within their uncertainties")


def test_one_fit_speaks_for_itself() -> None:
    (fit,) = titled(measured_fits(1))
    assert headline([fit]).sentences[2] == fit.trust.sentence
