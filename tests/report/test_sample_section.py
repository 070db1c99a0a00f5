import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from plotly.graph_objects import Figure

from pipeline.inspect import sample_tracks as sample
from pipeline.inspect.track_quantities import IONISING, tracks_of
from pipeline.inspect.track_scattering import highland_width
from pipeline.matter.particles import mass
from pipeline.matter.ranges import range_table
from pipeline.matter.straggling import most_probable_loss
from pipeline.report import sample_figures as figures
from pipeline.report.page import Sample, Uncut, render_page
from pipeline.report.sample_section import section
from pipeline.storage.detector import load_geometry
from pipeline.tables import Floats, Segments

from ..tracks import no_segments, random_walk, stopping_track, straight_track
from .samples import CUT_FLOW, some_fits, straight_tracks
from .test_page import HOSTILE, Reader

GEOMETRY = load_geometry("module0")
NAMES = ["figure-sample-loss", "figure-sample-residual", "figure-sample-angles", "figure-sample-width"]


def stopping_sample(tracks: int = 12) -> Segments:
    """Tracks of every ionising species that stop inside and lose what the range table says."""
    return Segments.concatenate(
        [
            stopping_track(code, 10.0 + 1.5 * n, traj=n + tracks * k)
            for k, code in enumerate(IONISING)
            for n in range(tracks)
        ]
    )


def drawn(segments: Segments, start_energy: Floats | None = None) -> dict[str, dict[str, Any]]:
    return {f["name"]: f["figure"] for f in section(segments, GEOMETRY, start_energy)["figures"]}


def trace(figure: dict[str, Any], name: str) -> tuple[Floats, Floats]:
    (found,) = [t for t in figure["data"] if t.get("name", "").startswith(name)]
    return np.array(found["x"], dtype=np.float64), np.array(found["y"], dtype=np.float64)


def test_plotly_accepts_every_figure_and_all_have_titles_and_units() -> None:
    found = drawn(stopping_sample(30))
    assert len(found) == 5
    for figure in found.values():
        Figure(figure)
        titles = [figure["layout"][a]["title"]["text"] for a in ("xaxis", "yaxis")]
        assert all(titles)
        assert "[" in titles[0]
        assert all(t["name"] for t in figure["data"] if t.get("showlegend", True))


def test_a_sample_of_the_range_table_lies_on_the_curves() -> None:
    """The points are differences of the table; the curve is Bethe's formula, from which the table was integrated."""
    figure = drawn(stopping_sample())["figure-sample-residual"]
    for code in IONISING:
        name = sample.SPECIES[code]
        curve = trace(figure, f"{name}, expected")
        for kind in (f"{name} that stop", f"{name}, mean"):
            x, y = trace(figure, kind)
            expected = np.exp(np.interp(np.log(x), np.log(curve[0]), np.log(curve[1])))
            # A deposit may be half as long as its residual range, over which the mean is off the middle by 2 %.
            assert y == pytest.approx(expected, rel=0.025)


def test_range_of_that_sample_lies_on_the_curve_and_its_energy_is_as_expected() -> None:
    shown = section(stopping_sample(), GEOMETRY)
    figure = {f["name"]: f["figure"] for f in shown["figures"]}["figure-sample-range"]
    for code in IONISING:
        energy, path = trace(figure, f"{sample.SPECIES[code]} that stop")
        assert path == pytest.approx(range_table(mass(code)).range(energy), rel=2e-3)
    assert [row["energy"] for row in shown["rows"]] == ["1.00"] * 4
    assert [row["stop"] for row in shown["rows"]] == ["12"] * 4


def test_a_wrong_scale_shows_as_points_off_the_curve() -> None:
    """Energies in units ten times too large: nothing counts as stopping, and the points are still there to be seen."""
    good = stopping_sample()
    wrong = good.replace(dE=10 * good.dE, dEdx=10 * good.dEdx)
    shown = section(wrong, GEOMETRY)
    assert all(row["stop"] == "0" and row["ended"] == "12" for row in shown["rows"])
    figure = {f["name"]: f["figure"] for f in shown["figures"]}["figure-sample-residual"]
    curve = trace(figure, "protons, expected")
    x, y = trace(figure, "protons that end otherwise")
    ratio = y / np.exp(np.interp(np.log(x), np.log(curve[0]), np.log(curve[1])))
    assert ratio == pytest.approx(np.full(len(ratio), 10.0), rel=0.03)
    assert figure["layout"]["yaxis"]["range"][1] > np.log10(np.quantile(y, 0.9))


def test_interacting_hadrons_are_drawn_apart() -> None:
    whole = stopping_track(2212, 30.0, traj=100)
    early = whole.take(np.arange(30))
    shown = section(Segments.concatenate([stopping_sample(), early]), GEOMETRY)
    row = next(r for r in shown["rows"] if r["name"] == "protons")
    assert (row["ended"], row["stop"]) == ("13", "12")
    figure = {f["name"]: f["figure"] for f in shown["figures"]}["figure-sample-range"]
    energy, path = trace(figure, "protons that end otherwise")
    assert path == pytest.approx([15.0])
    assert path[0] > range_table(mass(2212)).range(energy)[0]


def test_energies_at_the_start_are_used_where_the_file_tells_them() -> None:
    segments = stopping_sample()
    tracks = tracks_of(segments)
    start = np.full(len(tracks), 123.0)
    figure = drawn(segments, start)["figure-sample-range"]
    assert "at the start" in figure["layout"]["xaxis"]["title"]["text"]
    assert trace(figure, "protons that stop")[0] == pytest.approx(np.full(12, 123.0))
    assert "deposited" in drawn(segments)["figure-sample-range"]["layout"]["xaxis"]["title"]["text"]


def test_histogram_holds_every_long_deposit_of_its_species() -> None:
    figure = drawn(stopping_sample())["figure-sample-loss"]
    for code in IONISING:
        shares = trace(figure, sample.SPECIES[code])[1]
        assert shares.sum() == pytest.approx(1.0, abs=0.01)


def test_most_probable_loss_is_marked_where_lengths_are_common() -> None:
    fast = straight_track(segments=60, step=0.5, start=(-15, 0, 20))
    known = np.array([1000.0])
    figure = drawn(fast, known)["figure-sample-loss"]
    x, _ = trace(figure, "expected most probable")
    expected = most_probable_loss(np.array(930.0), np.array(0.5), mass(13)) / 0.5
    assert x.min() <= expected <= x.max()
    assert x.max() / x.min() < 1.02
    uneven = Segments.concatenate(
        [straight_track(segments=20, step=step, traj=n, start=(-15, 0, 20)) for n, step in enumerate((0.3, 0.6, 1.2))]
    )
    shown = section(uneven, GEOMETRY)
    assert not [t for t in shown["figures"][0]["figure"]["data"] if "probable" in t.get("name", "")]
    assert "No most probable loss is marked" in shown["figures"][0]["caption"]


def test_straight_muons_are_said_not_to_scatter() -> None:
    tracks = [straight_track(segments=60, step=0.5, traj=n, start=(-15, n, 20)) for n in range(15)]
    straight = Segments.concatenate(tracks)
    shown = section(straight, GEOMETRY)
    angles = next(f for f in shown["figures"] if f["name"] == "figure-sample-angles")
    assert "do not scatter" in angles["caption"]
    known = section(straight, GEOMETRY, np.full(15, 1000.0))
    assert next(r for r in known["rows"] if r["name"] == "muons")["scattering"].startswith("0")


def test_expected_angles_are_counted_in_bins_as_the_drawn_ones() -> None:
    """Also of muons so fast that their Gaussians are narrower than a bin: about as many as there are angles."""
    rng = np.random.default_rng(9)
    width = float(highland_width(np.array(2000.0), np.array(10.0), mass(13)))
    segments = Segments.concatenate([random_walk(rng, width, 0.5, 120, n) for n in range(20)])
    for energy in (2000.0, 2e5):
        shown = section(segments, GEOMETRY, np.full(20, energy))
        figure = next(f for f in shown["figures"] if f["name"] == "figure-sample-angles")["figure"]
        drawn, expected = (np.array(trace["y"]) for trace in figure["data"])
        in_bins = np.interp(figure["data"][0]["x"], figure["data"][1]["x"], expected)
        assert in_bins.sum() == pytest.approx(drawn.sum(), rel=0.05)


def test_momentum_of_equal_width_is_that_of_the_sample() -> None:
    """Muons made to scatter as at 2 GeV of kinetic energy, without the file telling it."""
    width = float(highland_width(np.array(2000.0), np.array(10.0), mass(13)))
    rng = np.random.default_rng(8)
    segments = Segments.concatenate([random_walk(rng, width, 0.5, 120, n) for n in range(80)])
    s = sample.sample_tracks(segments, GEOMETRY)
    found = figures.equivalent_momentum(s)
    assert found is not None
    angles = 2 * len(s.deflections)
    assert found == pytest.approx(float(sample.momentum(np.array(2000.0), 13)), rel=3 * 0.96 / np.sqrt(angles) + 0.01)


@pytest.mark.parametrize(
    "segments",
    [
        no_segments(),
        straight_track(segments=1),
        straight_track(segments=40, pdg=22),
        straight_track(segments=3, step=0.1),
    ],
    ids=["nothing", "one deposit", "only photons", "three short ones"],
)
def test_little_or_nothing_leaves_figures_out_and_says_why(segments: Segments) -> None:
    shown = section(segments, GEOMETRY)
    assert len(shown["missing"]) + len(shown["figures"]) == 5
    assert len(shown["missing"]) >= 4
    assert all(": " in text and text.endswith(".") for text in shown["missing"])
    json.dumps([f["figure"] for f in shown["figures"]], allow_nan=False)


def test_deposits_without_energy_or_length_draw_no_nonsense() -> None:
    segments = stopping_sample(25)
    energy = segments.dE.copy()
    energy[::3] = 0.0
    end = segments.end.copy()
    end[::7] = segments.start[::7]
    shown = section(segments.replace(dE=energy, end=end), GEOMETRY, np.zeros(100))
    json.dumps([f["figure"] for f in shown["figures"]], allow_nan=False)
    assert not any("nan" in str(value) for row in shown["rows"] for value in row.values())


def test_a_large_sample_draws_a_bounded_number_of_marks() -> None:
    segments = Segments.concatenate([stopping_track(2212, 20.0, traj=n, step=0.25) for n in range(400)])
    found = drawn(segments)
    marks = [t for f in found.values() for t in f["data"] if t["mode"] == "markers"]
    assert sum(len(t["x"]) for t in marks) < 2 * (figures.MOST_MARKS + figures.MOST_OTHERS) + 100
    assert len(json.dumps(list(found.values()))) < 300_000
    assert drawn(segments) == found


def page(uncut: Uncut | None) -> str:
    whole = Sample(straight_tracks(), CUT_FLOW, (), {}, uncut=uncut)
    return render_page("A calibration", whole, some_fits(1), GEOMETRY)


def test_the_page_says_when_it_judges_the_selected_deposits_only() -> None:
    assert "These are the selected deposits" in page(None)
    html = page(Uncut(stopping_sample(30)))
    assert "These are the selected deposits" not in html
    reader = Reader(html)
    places = {a["id"] for tag, a in reader.elements if tag == "div" and "id" in a}
    assert set(NAMES) <= places
    assert {a["data-figure"] for a, _ in reader.scripts if "data-figure" in a} == places


def test_what_was_noticed_on_reading_is_shown_as_text() -> None:
    uncut = Uncut(stopping_sample(3), warnings=(HOSTILE,))
    reader = Reader(page(uncut))
    assert HOSTILE in reader.text
    clean = Reader(page(replace(uncut, warnings=())))
    assert [t for t, _ in reader.elements if t in ("script", "img")] == [
        t for t, _ in clean.elements if t in ("script", "img")
    ]
