"""Correlations, other means beside the quoted one, and pulls, as figures and tables."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plotly.graph_objects import Figure

from pipeline.inspect.pulls import pull
from pipeline.report import curves, pulls, uncertainty
from pipeline.report.outcome import Fit, parameter_of, titled
from pipeline.tables import Uncertainty

from .samples import NOISY, TOGETHER, fit_result, measured_fits, measured_result, some_fits


def section(fit: Fit) -> dict[str, Any]:
    found = uncertainty.section(fit, "here")
    assert found is not None
    return found


def known(**more: Any) -> Fit:
    return Fit("a", "likelihood", measured_result(**more), NOISY)


def matrix(fit: Fit) -> dict[str, Any]:
    assert fit.result.uncertainty is not None
    return uncertainty.figure(fit.result.uncertainty, {p.name: parameter_of(p) for p in fit.result.parameters})


def test_the_matrix_is_that_of_the_fit_with_its_numbers_in_place() -> None:
    figure = matrix(known())
    Figure(figure)
    (heat,) = figure["data"]
    z = np.array(heat["z"])
    expected = np.eye(6)
    expected[0, 1] = expected[1, 0] = TOGETHER
    assert z == pytest.approx(expected, abs=1e-9)
    assert (heat["zmin"], heat["zmax"]) == (-1, 1)
    written = {(a["y"], a["x"]): a["text"] for a in figure["layout"]["annotations"]}
    assert len(written) == 36
    assert (written[0, 0], written[0, 1], written[4, 5]) == ("1", "0.99", "0.00")
    assert figure["layout"]["xaxis"]["ticktext"][0] == "A<sub>B</sub>"
    # The first parameter stands above, as in the tables.
    assert figure["layout"]["yaxis"]["autorange"] == "reversed"


def test_a_negative_correlation_has_the_other_colour() -> None:
    fit = known()
    assert fit.result.uncertainty is not None
    covariance = fit.result.uncertainty.covariance.copy()
    covariance[0, 1] = covariance[1, 0] = -covariance[0, 1]
    changed = replace(
        fit, result=replace(fit.result, uncertainty=replace(fit.result.uncertainty, covariance=covariance))
    )
    figure = matrix(changed)
    assert figure["data"][0]["z"][0][1] == pytest.approx(-TOGETHER)
    low, high = (step[1] for step in (figure["data"][0]["colorscale"][0], figure["data"][0]["colorscale"][-1]))
    assert low != high
    assert "−0.99" in [a["text"] for a in figure["layout"]["annotations"]]


def test_what_the_data_do_not_hold_stays_empty() -> None:
    fit = known()
    quoted = fit.result.uncertainty
    assert quoted is not None
    covariance = quoted.covariance.copy()
    covariance[1] = covariance[:, 1] = np.nan
    figure = matrix(replace(fit, result=replace(fit.result, uncertainty=replace(quoted, covariance=covariance))))
    assert figure["data"][0]["z"][1] == [None] * 6
    assert [a["text"] for a in figure["layout"]["annotations"]].count("") == 11
    nothing = replace(quoted, covariance=np.full((6, 6), np.nan))
    assert section(replace(fit, result=replace(fit.result, uncertainty=nothing)))["name"] is None
    assert uncertainty.section(some_fits(1)[0], "here") is None


def test_ratios_to_the_quoted_uncertainty_are_marked_beyond_five_percent() -> None:
    fit = known()
    quoted = fit.result.uncertainty
    assert quoted is not None
    others = {"near": 1.04**2 * quoted.covariance, "far": 1.06**2 * quoted.covariance}
    value, sigma = fit.result.parameters[1].value, quoted.standard[1]
    intervals = {"birks_kb": (value - 0.8 * sigma, value + 1.2 * sigma), "electron_lifetime": (2000.0, math.inf)}
    fit = replace(fit, result=replace(fit.result, uncertainty=replace(quoted, others=others, intervals=intervals)))
    found = section(fit)
    assert [str(column) for column in found["columns"]] == ["near", "far", "profile interval"]
    assert found["rows"][0]["ratios"] == [("1.040", False), ("1.060", True), ("–", False)]
    assert found["rows"][1]["ratios"][2] == ("1.000", False)
    assert found["rows"][3]["ratios"][2] == ("∞", True)
    assert found["rows"][3]["interval"].endswith(" to ∞")
    low, high = (float(text) for text in found["rows"][1]["interval"].split(" to "))
    assert (low, high) == pytest.approx(intervals["birks_kb"], abs=0.05 * sigma)


def test_sentences_of_a_file_are_no_markup() -> None:
    fit = known(directions=("<b>A_B</b>",), caveats=("<i>tau</i>",))
    found = section(fit)
    assert found["directions"] == ["&lt;b&gt;A<sub>B</sub>&lt;/b&gt;"]
    assert found["caveats"] == ["&lt;i&gt;τ&lt;/i&gt;"]


def test_pulls_stand_at_their_parameters_and_never_on_each_other() -> None:
    fits = titled([*measured_fits(8), *some_fits(2, "gauss_newton")])
    figure = pulls.points(fits)
    Figure(figure)
    assert len(figure["data"]) == 8, "fits without uncertainty have no pulls"
    everywhere = [x for trace in figure["data"] for x in trace["x"]]
    assert len(set(everywhere)) == 48
    for fit, trace in zip(fits, figure["data"]):
        assert np.round(trace["x"]).tolist() == list(range(6))
        assert trace["y"] == pytest.approx([pull(p) for p in fit.result.parameters], rel=1e-3)
    low, high = figure["layout"]["yaxis"]["range"]
    assert -low == high > max(abs(y) for trace in figure["data"] for y in trace["y"])


def test_a_fit_that_failed_is_a_red_cross_among_the_pulls() -> None:
    failed = Fit("x", "likelihood", replace(measured_result(), converged=False), NOISY)
    (trace,) = pulls.points(titled([failed]))["data"]
    assert (trace["marker"]["symbol"], trace["marker"]["color"]) == ("x", curves.RED)


def test_the_histogram_holds_every_pull_and_its_curve_the_same_number() -> None:
    values = [-50.0, -0.2, 0.1, 0.3, 1.2, 3.99, 7.0]
    figure = pulls.histogram("m", values)
    Figure(figure)
    bars, curve = figure["data"]
    assert sum(bars["y"]) == 7 == pytest.approx(sum(curve["y"]), rel=1e-4)
    assert (bars["y"][0], bars["y"][-1]) == (1, 2)


def test_mean_width_and_coverage_are_marked_where_they_are_no_accident() -> None:
    def rows(**more: Any) -> list[dict[str, Any]]:
        found = pulls.section(titled(measured_fits(60, **more)))
        assert found is not None
        assert [row["count"] for row in found["rows"]] == ["60"] * 6
        return list(found["rows"])

    assert not any(row[what][1] for row in rows() for what in ("mean", "width", "coverage"))
    assert all(row["width"][1] for row in rows(wider=1.6))
    assert all(row["width"][1] and row["coverage"][1] for row in rows(wider=0.4))


def test_one_fit_has_pulls_but_no_statistics() -> None:
    found = pulls.section(titled(measured_fits(1)))
    assert found is not None and found["rows"] == [] and found["histograms"] == []
    assert pulls.section(some_fits(2)) is None
    assert pulls.section([Fit("data", "likelihood", measured_result(known=False), NOISY)]) is None


def test_an_uncertainty_without_parameters_of_the_table_is_shown() -> None:
    """A file of another version may name parameters that are not known here."""
    result = fit_result()
    strange = replace(result.parameters[0], name="ion_feedback", unit="1/cm", uncertainty=0.1)
    alone = Uncertainty("expected information", ("ion_feedback",), np.array([[0.01]]), np.ones(1), np.ones((1, 1)))
    fit = Fit("a", "m", replace(result, parameters=(strange,), uncertainty=alone), NOISY)
    Figure(matrix(fit))
    assert section(fit)["rows"] == []
