"""Figures of repeated experiments show every fit, and which limits are missed."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.parameters import nominal_values
from pipeline.report.plots import image
from pipeline.report.studies import pulls as pulls_figure
from pipeline.report.studies import score as score_figure
from pipeline.study import pulls, score

FREE = ("birks_ab", "electron_lifetime")
SAMPLE = {"length_cm": 1000.4, "tracks": 12, "events": 3}


def pulls_result(scale: float = 1.0) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    targets = {name: nominal_values() for name in ("one", "other")}
    fits = []
    for number, pull in enumerate(scale * rng.normal(size=(80, 2))):
        fits.append(
            {
                "target": ("one", "other")[number % 2],
                "converged": True,
                "iterations": 5,
                "hits": 10,
                "outliers": 0,
                "values": {n: nominal_values()[n] * (1 + 0.01 * p) for n, p in zip(FREE, pull, strict=True)},
                "uncertainties": {n: nominal_values()[n] * 0.01 for n in FREE},
                "pulls": dict(zip(FREE, pull.tolist(), strict=True)),
                "distance": float(pull @ pull),
                "scores": {"t": [10, 0.1, 9.9], "q": [10, 0.1, 9.9]},
            }
        )
    return {
        "settings": {"method": "likelihood", "hold": {"birks_kb": 1.1}},
        "deposits": SAMPLE,
        "targets": targets,
        **pulls.summary(fits, FREE, targets),
        "published": {"electron_lifetime": [2.9, 2.5]},
        "fits": fits,
    }


def test_the_figure_of_pulls_has_every_fit_and_both_parameters() -> None:
    result = pulls_result()
    figure, caption = pulls_figure.draw(result)
    histograms = figure.axes[:2]
    for ax in histograms:
        assert sum(bar.get_height() for bar in ax.patches) == 80
    assert "80 fits" in caption and "k_B held at 1.1 of its value" in caption
    assert len(image(figure, "svg")) > 10_000
    head, rows = pulls_figure.rows(result)
    assert [len(row) for row in rows] == [len(head)] * 2
    assert rows[1][-1] == "+2.9 ± 2.5" and rows[0][-1] == "–"
    assert rows[0][4] == "yes"
    assert "1000 cm" in pulls.table(result)


def test_missed_limits_are_said_in_the_table() -> None:
    result = pulls_result(scale=1.8)
    assert pulls_figure.rows(result)[1][0][4] == "no"
    assert pulls.table(result).count("missed") == 2


def test_the_figure_of_the_score_has_a_point_for_every_target_and_parameter() -> None:
    rng = np.random.default_rng(1)
    found = {}
    for name in ("one", "other"):
        totals = rng.normal(size=(100, 2))
        squares = totals[:, :, None] * totals[:, None, :]
        found[name] = score.statistics([{"totals": totals, "squares": squares, "informations": [np.eye(2)]}])
    result = {"names": list(FREE), "deposits": SAMPLE, "by_target": found}
    figure, caption = score_figure.draw(result)
    assert "100 noise draws" in caption
    points = [line.get_ydata() for line in figure.axes[0].lines if line.get_label() in found]
    np.testing.assert_allclose(points, [f["mean"] for f in found.values()])
    head, rows = score_figure.rows(result)
    assert [len(row) for row in rows] == [len(head)] * 4
    assert "one: 100 draws" in score.table(result)
