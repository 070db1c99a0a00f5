"""Supplementary figures: the same bytes again, captions that tell the sample and what counts, nothing hidden."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from pipeline.parameters import CALIBRATED, nominal_values
from pipeline.report import basin, paper
from pipeline.report.plots import image, style

METHODS = [
    {"name": "gauss_newton", "objective": "matched_residuals", "optimiser": "levenberg_marquardt"},
    {"name": "adam_mmd", "objective": "mmd", "optimiser": "adam"},
]


def part(name, outcomes):
    """A sample whose starts have these outcomes, one at each distance, and whose objectives are bowls."""
    u = [-1.0, 0.0, 1.0]
    starts = [
        {
            "method": m["name"], "distance": d, "outcome": outcome, "start_u": [d] * 6,
            "end_u": None if outcome == "failed" else [0.1] * 6,
        }
        for m in METHODS
        for d, outcome in zip((1.0, 2.0), outcomes, strict=True)
    ]  # fmt: skip
    bowl = (np.square(u)[:, None] + np.square(u)).tolist()
    bowl[0][0] = None
    return {
        "name": name,
        "length_cm": 61.4,
        "tracks": 9,
        "events": 4,
        "starts": starts,
        "lines": [
            {
                "parameter": p, "u": u, "costs": {m["name"]: [1.0, 0.0, None] for m in METHODS},
                "minima": {"gauss_newton": [], "adam_mmd": [-1.0] if p == "electric_field" else []},
            }
            for p in CALIBRATED
        ],
        "plane": {
            "parameters": ["electric_field", "electron_lifetime"], "u": u,
            "costs": {"gauss_newton": bowl, "adam_mmd": np.zeros((3, 3)).tolist()},
        },
    }  # fmt: skip


def study():
    return {
        "study": "basin",
        "sample": "muons",
        "target": {n: nominal_values()[n] for n in CALIBRATED},
        "settings": {
            "starts": 1, "distances": [1.0, 2.0], "adam_iterations": 100, "adam_tolerance": 0.05, "tolerance": 1e-4,
            "line_points": 3,
        },
        "methods": METHODS,
        "samples": [part("within 15 cm of an anode", ("arrived", "stuck")), part("all", ("under_way", "failed"))],
    }  # fmt: skip


@pytest.fixture(scope="module")
def drawn():
    return {d.stem: d for d in paper.draw([study()], [], []).drawings}


def test_figures_of_the_study_are_supplementary_and_come_one_per_sample(drawn):
    assert list(drawn) == ["figS1", "figS2", "figS3", "figS4"]
    assert "within 15 cm of an anode" in drawn["figS2"].title
    assert drawn["figS1"].title.startswith("Fig. S1. ")


def test_captions_tell_sample_starts_and_what_counts(drawn):
    for stem in ("figS1", "figS4"):
        assert "within 15 cm of an anode: 61 cm, 9 tracks, 4 events; all: 61 cm" in drawn[stem].caption
    assert "1 start at each distance" in drawn["figS1"].caption
    assert "at most 5 % after 100 steps of adam, 0.0001 for Gauss-Newton" in drawn["figS1"].caption
    assert "Found: 0 gauss_newton, 2 adam_mmd." in drawn["figS4"].caption


def test_bars_are_the_shares_of_starts(drawn):
    bars = [bar for bar in drawn["figS1"].figure.axes[0].patches if bar.get_height() > 0]
    assert len(bars) == 4  # two distances, two samples
    colours = {outcome: look[0] for outcome, look in basin._LOOK.items()}
    assert [to_hex(bar.get_facecolor()) for bar in bars] == [
        to_hex(colours[outcome]) for outcome in ("arrived", "stuck", "under_way", "failed")
    ]


def test_equal_numbers_give_equal_bytes(drawn):
    with style():
        again = basin.drawings([study()], lambda stem, sample: stem)
    assert [d.stem for d in again] == list(drawn)
    assert image(again[1].figure, "svg") == image(drawn["figS2"].figure, "svg")


def test_other_studies_are_left_alone():
    assert basin.drawings([{"study": "scaling", "sample": "muons"}], lambda stem, sample: stem) == []
