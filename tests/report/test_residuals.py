import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plotly.graph_objects import Figure

from pipeline.calibrate.comparison import SENTENCES, Reason
from pipeline.report import residuals, unmatched
from pipeline.report.outcome import Fit
from pipeline.report.residuals import differences, figures, section, summary
from pipeline.storage.detector import load_geometry
from pipeline.tables import Comparison

from .samples import fit_result, hits_compared

MODULE0 = load_geometry("module0")


def drawn(comparison: Comparison, size: int = 2, marks: int = 400) -> dict[str, Any]:
    return figures(comparison, MODULE0, "fitted", size, marks)


def with_residuals(charge: np.ndarray) -> Comparison:
    """Matched hits with these charge residuals."""
    compared = hits_compared(len(charge), only_model=0, only_data=0)
    values = compared.data.copy()
    values[:, 0] += charge
    return replace(compared, model=values)


def filled(figure: dict[str, Any]) -> dict[str, Any]:
    """A figure as the script of the page completes it."""
    traces = []
    for trace in figure["data"]:
        if "cells" in trace:
            cells = trace["cells"]
            z = np.full(cells["shape"], np.nan)
            z.ravel()[cells["at"]] = cells["z"]
            trace = {k: v for k, v in trace.items() if k != "cells"} | {"z": z}
        traces.append(trace)
    return {**figure, "data": traces}


def test_plotly_accepts_every_figure_and_every_axis_has_a_unit() -> None:
    found = drawn(hits_compared())
    assert set(found) == {"figure-map-0", "figure-map-1", "figure-histogram-0", "figure-histogram-1"}
    for name, figure in found.items():
        Figure(filled(figure))
        json.dumps(figure, allow_nan=False)
        unit = "ADC" if name.endswith("0") else "μs"
        titles = figure["layout"]["title"]["text"] + figure["layout"]["xaxis"]["title"]["text"]
        assert f"[{unit}]" in titles


@pytest.mark.parametrize("size", [1, 2, 7])
def test_cells_of_the_map_hold_the_mean_of_their_hits_where_these_are(size: int) -> None:
    compared = hits_compared()
    tpc, x, y = MODULE0.pixel(compared.channel[compared.matched])
    charge = differences(compared)[:, 0]
    maps = [trace for trace in drawn(compared, size)["figure-map-0"]["data"] if trace["type"] == "heatmap"]
    assert sum(sum(trace["cells"]["text"]) for trace in maps) == len(charge)
    for number, trace in enumerate(maps):
        for at, z, hits in zip(*(trace["cells"][k] for k in ("at", "z", "text")), strict=True):
            row, column = divmod(at, trace["cells"]["shape"][1])
            inside = (tpc == number) & (x // size == column) & (y // size == row)
            assert inside.sum() == hits
            assert charge[inside].mean() == pytest.approx(z, rel=5e-3)
            centre = trace["x0"] + column * trace["dx"], trace["y0"] + row * trace["dy"]
            for axis, pixel, low in ((0, x, MODULE0.x_range[0]), (1, y, MODULE0.y_range[0])):
                place = low + (pixel[inside] + 0.5) * MODULE0.pixel_pitch
                assert np.abs(place - centre[axis]).max() <= MODULE0.pixel_pitch * (size - 1) / 2 + 1e-9


def test_colours_are_symmetric_and_never_finer_than_a_readout_resolves() -> None:
    for figure in (drawn(hits_compared())["figure-map-0"], drawn(with_residuals(np.full(50, 1e-9)))["figure-map-0"]):
        ranges = {(trace["zmin"], trace["zmax"]) for trace in figure["data"] if trace["type"] == "heatmap"}
        ((low, high),) = ranges
        assert low == -high
        assert high >= 0.01
    assert high == 0.01


def test_histogram_counts_every_hit_or_says_how_many_it_leaves_out() -> None:
    core = np.random.default_rng(1).normal(0, 1, 500)
    for charge, logarithmic in ((core, False), (np.append(core, [70.0, -900.0]), True)):
        figure = drawn(with_residuals(charge))["figure-histogram-0"]
        title = figure["layout"]["title"]["text"]
        beyond = re.search(r"; (\d+) beyond", title)
        left_out = int(beyond[1]) if beyond else 0
        assert sum(figure["data"][0]["y"]) + left_out == len(charge)
        assert (figure["layout"]["yaxis"].get("type") == "log") == logarithmic
        assert (left_out > 0) == logarithmic
        low, high = figure["layout"]["xaxis"]["range"]
        assert low == -high


def test_residuals_of_nothing_and_of_no_hits_are_drawn() -> None:
    for compared in (with_residuals(np.zeros(40)), hits_compared(4, only_model=4, only_data=0)):
        for figure in drawn(compared).values():
            Figure(filled(figure))
    assert summary(hits_compared(4, only_model=4, only_data=0))[0]["mean"] == "–"


def test_numbers_of_the_summary_are_those_of_the_residuals() -> None:
    charge = np.array([1.0, -3.0, 5.0])
    row = summary(with_residuals(charge))[0]
    assert (row["count"], row["mean"], row["rms"], row["largest"]) == ("3", "1.00 ADC", "3.42 ADC", "5.00 ADC")


def test_hits_without_partner_are_marked_at_their_pixels() -> None:
    compared = hits_compared(only_model=30, only_data=20)
    for marks in (400, 10):
        traces = [t for t in drawn(compared, marks=marks)["figure-map-1"]["data"] if t["type"] == "scatter"]
        shown = {t["marker"]["symbol"]: 0 for t in traces}
        for t in traces:
            shown[t["marker"]["symbol"]] += len(t["x"])
        if marks == 400:
            assert shown == {"triangle-up-open": 30, "circle-open": 20}
        assert sum(shown.values()) == min(50, marks)
        for t in traces:
            assert all(MODULE0.x_range[0] < x < MODULE0.x_range[1] for x in t["x"])
            assert all(reason for _, _, reason in t["customdata"])


def test_reasons_add_up_and_give_examples() -> None:
    compared = hits_compared(only_model=5, only_data=3)
    found = unmatched.table(compared, MODULE0)
    assert sum(int(row["model"]) for row in found["rows"]) == 5
    assert sum(int(row["data"]) for row in found["rows"]) == 3
    assert found["fraction"].startswith(f"{100 * 8 / (2 * 192 + 8):.1f}")
    reasons = {row["reason"] for row in found["rows"]}
    assert reasons == {
        SENTENCES[r][:1].upper() + SENTENCES[r][1:] for r in (Reason.NO_DATA_HIT, Reason.BELOW_THRESHOLD)
    }
    example = found["rows"][0]["examples"][0]
    row = np.flatnonzero(~compared.in_data)[0]
    tpc, x, y = MODULE0.pixel(compared.channel[row])
    assert f"TPC {tpc}, pixel ({x}, {y}), hit 0: " in example
    assert example.endswith("1 simulated, 0 recorded; simulated charge 1.50 of the threshold")


def test_every_reason_has_words_and_a_foreign_number_too() -> None:
    assert all(unmatched.short(r) for r in Reason if r is not Reason.MATCHED)
    assert "unknown" in unmatched.short(99)
    assert "does not know" in unmatched.sentence(99)


def test_a_fit_without_a_comparison_is_named() -> None:
    with_it = Fit("a", "m", fit_result(), title="a", comparison={"fitted": hits_compared()})
    found = section([with_it, Fit("b", "m", fit_result(), title="b")], MODULE0)
    assert found["missing"] == ["b"]
    assert [choice["key"] for choice in found["choices"]] == ["0-fitted"]


def test_many_hits_are_drawn_in_larger_cells() -> None:
    one = [hits_compared(20_000)]
    assert residuals.cell_size(one, MODULE0) == 2
    assert 2 < residuals.cell_size(one * 60, MODULE0) <= 70
