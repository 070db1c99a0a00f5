from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plotly.graph_objects import Figure

from pipeline.report import curves
from pipeline.report.outcome import Fit, distance_history, titled

from .samples import fit_result, some_fits


def every_figure(fits: list[Fit]) -> list[dict[str, Any]]:
    named = titled(fits)
    distance = curves.distance_figure(named)
    return curves.parameter_figures(named) + curves.hit_figures(named) + ([distance] if distance else [])


def test_plotly_accepts_every_figure() -> None:
    failed = Fit("target_9", "gauss_newton", fit_result(9, converged=False))
    figures = every_figure([*some_fits(), failed])
    assert len(figures) == 6 + 3 + 1
    for figure in figures:
        Figure(figure)


def test_curves_start_at_the_initial_and_end_at_the_fitted_value() -> None:
    (fit,) = titled(some_fits(1))
    for figure, fitted in zip(curves.parameter_figures([fit]), fit.result.parameters, strict=True):
        target, curve = figure["data"]
        ratio = curve["y"][-1] / curve["y"][0]
        assert ratio == pytest.approx(fitted.value / fitted.initial, rel=1e-8)
        assert target["y"][0] / curve["y"][0] == pytest.approx(fitted.target / fitted.initial, rel=1e-8)
        assert target["line"]["dash"] == "dash"
        assert target["line"]["color"] == curve["line"]["color"]


def test_every_axis_has_a_title_and_every_parameter_its_unit() -> None:
    figures = every_figure(some_fits())
    assert all(f["layout"][a]["title"]["text"] for f in figures for a in ("xaxis", "yaxis"))
    units = [f["layout"]["yaxis"]["title"]["text"] for f in figures[:6]]
    assert [u[u.find("[") :] for u in units[1:]] == [
        "[(kV/cm)(g/cm²)/MeV]", "[kV/cm]", "[μs]", "[10⁻⁶ cm²/μs]", "[10⁻⁶ cm²/μs]",
    ]  # fmt: skip


def test_a_target_has_one_colour_in_all_figures_and_never_red() -> None:
    seen: dict[str, set[str]] = {}
    for figure in every_figure(some_fits(3)):
        for trace in figure["data"]:
            if "legendgroup" in trace:
                seen.setdefault(trace["legendgroup"], set()).add(trace["line"]["color"])
    assert all(len(used) == 1 for used in seen.values())
    assert len(set.union(*seen.values())) == 3
    assert curves.RED not in curves.COLOURS


def test_a_fit_that_failed_ends_in_a_red_cross_in_every_figure() -> None:
    for figure in every_figure([Fit("a", "m", fit_result(converged=False))]):
        assert curves.RED in [t["marker"]["color"] for t in figure["data"] if t["mode"] == "markers"]


def test_band_spans_all_targets_and_ended_fits_keep_their_last_value() -> None:
    fits = titled([Fit(f"t{n}", "m", fit_result(n, steps=n)) for n in (3, 5, 8)])
    figure = curves.distance_figure(fits)
    assert figure is not None
    low, high, median = (np.array(trace["y"]) for trace in figure["data"][:3])
    ends = [distance_history(fit.result)[-1] for fit in fits]  # type: ignore[index]
    assert len(low) == 9
    assert (low[-1], median[-1], high[-1]) == pytest.approx((min(ends), np.median(ends), max(ends)))
    assert np.all((low <= median) & (median <= high))


def test_distance_zero_can_be_drawn_on_a_logarithmic_axis() -> None:
    result = fit_result()
    exact = {p.name: np.append(result.history[p.name][:-1], p.target) for p in result.parameters}
    figure = curves.distance_figure(titled([Fit("a", "m", replace(result, history=exact))]))
    assert figure is not None
    assert figure["data"][-1]["y"][-1] == curves.SMALLEST_DISTANCE


def test_without_targets_there_is_no_dashed_line_and_no_distance() -> None:
    fits = titled([Fit("data", "m", fit_result(known=False))])
    assert curves.distance_figure(fits) is None
    assert all(t["line"]["dash"] == "solid" for f in curves.parameter_figures(fits) for t in f["data"])


def test_numbers_that_are_not_finite_become_gaps() -> None:
    assert curves.numbers([1.0, np.nan, np.inf]) == [1.0, None, None]


@pytest.mark.parametrize(("low", "high", "some"), [(0.3, 2.0, "0.5"), (0.42, 0.47, "0.42"), (0.08, 0.9, "0.1")])
def test_a_short_logarithmic_axis_has_plain_numbers(low: float, high: float, some: str) -> None:
    """A lone 5 under a 1 would have to be read as 0.5."""
    ticks = curves.log_ticks(np.array([low, high, np.nan]))
    assert some in ticks["ticktext"] and [float(t) for t in ticks["ticktext"]] == ticks["tickvals"]
    assert any(low <= tick <= high for tick in ticks["tickvals"])


def test_a_long_logarithmic_axis_has_powers_of_ten() -> None:
    assert [curves.log_ticks(np.array([10.0**-k, 1.0]))["dtick"] for k in (2, 6, 8)] == [1, 1, 2]
