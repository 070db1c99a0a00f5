"""The front of the page says what limits each parameter, as far as the fit tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.calibrate.uncertainty import GEOMETRY_KNOWN, MARGINAL, SEGMENTS_KNOWN
from pipeline.inspect.limits import (
    ENERGY,
    GEOMETRY,
    NOISE,
    STRUCTURE,
    assumptions,
    limits,
    sentence,
)
from pipeline.inspect.trust import Facts, judge
from pipeline.report import uncertainty as uncertainty_report
from pipeline.report.limits import section
from pipeline.report.outcome import Fit, titled
from pipeline.tables import FitResult

from .samples import NOISY, fit_result, measured_fits, measured_result


def unknown(segments: float, geometry: float, fraction: float = 1.0) -> FitResult:
    """A fit whose variances with known segments and with known geometry are these parts of its own."""
    result = measured_result(0)
    known = result.uncertainty
    covariance = np.diag(np.diag(known.covariance))
    others = {SEGMENTS_KNOWN: segments * covariance, GEOMETRY_KNOWN: geometry * covariance}
    return replace(result, uncertainty=replace(known, covariance=covariance, others=others))


def test_shares_of_the_variance_add_up_and_name_the_largest() -> None:
    for row in limits(unknown(0.2, 0.9)):
        assert row.shares == pytest.approx({NOISE: 0.2, ENERGY: 0.7, GEOMETRY: 0.1})
        assert row.cause == ENERGY
        assert row.known == pytest.approx(np.sqrt(0.2) * row.all)
        assert row.energy == pytest.approx(np.sqrt(0.9) * row.all)
    assert limits(unknown(0.1, 0.3))[0].cause == GEOMETRY
    assert limits(unknown(0.8, 0.9))[0].cause == NOISE


def test_what_segments_have_not_has_a_share_of_its_own() -> None:
    result = unknown(0.1, 0.45)
    known = result.uncertainty
    half = {**known.others, MARGINAL: 0.5 * known.covariance}
    for row in limits(replace(result, uncertainty=replace(known, others=half))):
        assert row.shares == pytest.approx({NOISE: 0.1, ENERGY: 0.35, GEOMETRY: 0.05, STRUCTURE: 0.5})
        assert row.known == pytest.approx(np.sqrt(0.1) * row.all)


def test_assumptions_that_would_know_more_than_the_fit_add_no_negative_share() -> None:
    for row in limits(unknown(1.1, 1.05)):
        assert min(row.shares.values()) >= 0 and sum(row.shares.values()) == pytest.approx(1)


@pytest.mark.parametrize("left", [(SEGMENTS_KNOWN,), (GEOMETRY_KNOWN,), ()])
def test_a_fit_that_tells_less_is_described_with_less(left: tuple[str, ...]) -> None:
    result = unknown(0.2, 0.9)
    known = result.uncertainty
    some = replace(result, uncertainty=replace(known, others={k: known.others[k] for k in left}))
    for row in limits(some):
        assert sum(row.shares.values()) == pytest.approx(1)
    (shown,) = section(titled([Fit("t", "m", some, NOISY)]))
    assert len(shown["columns"]) == 1 + len(left)
    assert all(len(row["uncertainties"]) == len(shown["columns"]) for row in shown["rows"])
    assert limits(fit_result()) == () and sentence(fit_result(), ()) == ""
    assert section([Fit("t", "m", fit_result(), NOISY)]) == []


def test_parameters_that_are_known_only_together_are_named() -> None:
    """A_B and k_B of muons: correlation 0.99."""
    rows = {row.name: row for row in limits(measured_result(0))}
    assert rows["birks_ab"].partner == "birks_kb" and rows["birks_kb"].partner == "birks_ab"
    assert rows["transverse_diffusion"].partner == ""
    assert "known only together: A_B with k_B" in sentence(measured_result(0), list(rows.values()))


def test_what_the_fit_rests_on_is_said() -> None:
    assert "taken for known" in assumptions(measured_result(0), NOISY)[0]
    made = {**NOISY, "inputs": {"reconstructed": "ab" * 32}}
    assert "were reconstructed from them and are taken for known" in assumptions(measured_result(0), made)[0]
    assert "does not know exactly" in assumptions(unknown(0.2, 0.9), made)[0]
    told = assumptions(unknown(0.2, 0.9), {"config": {"method": {"m": {"priors": {"birks_kb": {}}}}}})
    assert "does not know exactly" in told[0] and "priors on k_B" in told[-1]
    real = replace(measured_result(0), parameters=tuple(replace(p, target=None) for p in measured_result(0).parameters))
    assert assumptions(real, {})[0].startswith("hits of unknown truth")


def test_covariances_under_other_assumptions_are_no_second_opinion() -> None:
    """They differ from the quoted one by construction: neither a doubt nor a ratio to look at."""
    result = unknown(0.1, 0.5)
    assert judge(result, Facts(noisy=True, objective="likelihood")).verdict == "good"
    shown = uncertainty_report.section(Fit("t", "m", result, NOISY), "figure")
    assert shown["columns"] == [] and shown["rows"] == []


def test_one_table_per_method() -> None:
    shown = section(titled([*measured_fits(3), *measured_fits(2, method="other")]))
    assert [entry["many"] for entry in shown] == [3, 2]
