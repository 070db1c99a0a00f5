"""The smallest possible uncertainty: what physics says of it, and an independent calculation, on a few short tracks."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config.bound import STANDARD_CASES, Bound, Knowledge
from pipeline.config.methods import WITHOUT_KB
from pipeline.config.models import Config
from pipeline.detector.argon import scaled_drift_velocity
from pipeline.errors import ConfigError, FileFormatError, SelectionError
from pipeline.parameters import CALIBRATED, nominal_values
from pipeline.perturb.base import Context
from pipeline.perturb.chord import Chord, chord
from pipeline.perturb.losses import Losses
from pipeline.report.plots import image
from pipeline.report.studies import bound as figure
from pipeline.simulate.linked import MOVES, linked_probability
from pipeline.storage.detector import load_geometry
from pipeline.study import bound
from pipeline.study.experiment import PixelExperiment, noise_seed
from pipeline.study.information import batch_information, relative_uncertainty
from pipeline.study.processes import with_threads
from pipeline.tables import Floats, Segments
from tests.tracks import muons as muons_through
from tests.tracks import no_segments, straight_track

GEOMETRY = load_geometry("module0")
TRUTH = nominal_values()
SELECT = {"track_anode_margin_cm": None, "max_anode_distance_cm": None}


def sample(tracks: int = 6, segments: int = 10, spread: float = 0.1, first_event: int = 0) -> Segments:
    """Tracks of deposits of 1 cm over the whole drift, each in an event of its own, with a spread of ln(dE/dx)."""
    rng = np.random.default_rng(7)
    made = []
    for k in range(tracks):
        begin = (-10.0 + 2 * k, 4.0 * k, 2.0 + 24.0 * k / max(tracks - 1, 1))
        one = straight_track(event=first_event + k, start=begin, direction=(1, 0.4, 0.3), segments=segments)
        dedx = 2.1 * np.exp(spread * rng.normal(size=segments))
        made.append(one.replace(dEdx=dedx, dE=dedx * one.dx))
    return Segments.concatenate(made)


def config(**settings: Any) -> Config:
    """Small settings of the study."""
    small = {"part_cm": 10.0, "draws": 1, "lengths_cm": [100.0, 400.0], "subsets": 20, **settings}
    return Config.model_validate({"select": SELECT, "simulate": {"threads": 1}, "study": {"bound": small}})


def run(segments: Segments, **settings: Any) -> dict[str, Any]:
    return bound.run(config(**settings), segments, GEOMETRY, lambda text: None)


def roots(result: dict[str, Any], case: str) -> dict[str, float]:
    """Bounds per root of a cm."""
    (found,) = (c for c in result["cases"] if c["name"] == case)
    return {n: p["per_root_cm"] for n, p in found["parameters"].items()}


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return run(sample())


@pytest.mark.parametrize("free", ["", "_kb"])
def test_bounds_grow_with_all_that_is_not_known(result: dict[str, Any], free: str) -> None:
    chains = [["S1", f"{s}_5", f"{s}_15", f"{s}_30"] for s in ("S2", "S4")]
    chains += [[f"S2{w}", f"S4{w}"] for w in ("", "_5", "_15", "_30")]
    chains += [[f"{name}{free}" for name in chain] for chain in chains]
    chains += [[name, f"{name}_kb"] for name in ("S1", "S2", "S4_15")]
    for chain in chains:
        for less, more in pairwise(chain):
            a, b = roots(result, less), roots(result, more)
            assert all(a[name] < b[name] * (1 + 1e-9) for name in a), (less, more)


def test_bounds_fall_with_the_root_of_the_length(result: dict[str, Any]) -> None:
    for case in result["cases"]:
        for p in case["parameters"].values():
            short, long = p["value"]
            assert long == pytest.approx(short / 2, rel=1e-9)
            assert short == pytest.approx(p["per_root_cm"] / 10, rel=1e-9)
            assert p["scaled"] == pytest.approx(p["per_root_cm"] / 200, rel=1e-9)


def test_what_dedx_limits_is_halved_by_four_times_the_track(result: dict[str, Any]) -> None:
    """The noise of A_B and of the lifetime is that of dE/dx, the same in copies of tracks, whatever their hits."""
    copies = Segments.concatenate([sample(first_event=10 * k) for k in range(4)])
    many = run(copies, cases=("S2_15", "S4_15"))
    assert many["sample_cm"] == pytest.approx(4 * result["sample_cm"])
    assert many["parts"] == 4 * result["parts"] == 24
    for case in ("S2_15", "S4_15"):
        for name in ("birks_ab", "electron_lifetime"):
            assert roots(many, case)[name] == pytest.approx(roots(result, case)[name], rel=2e-3)


def test_with_wide_beliefs_a_b_and_lifetime_are_a_line_through_charges_against_drift_time() -> None:
    """If nothing is known of dE/dx, a segment tells ln(A_B) - t / tau to kappa times the width of the belief, with
    kappa = d ln(charge) / d ln(dE/dx) = 1 / (1 + k_B dE/dx / (E rho)). Noise of hits (4 % of a charge, beside 40 %)
    adds 0.5 % to that; the slope of charges within segments, to which dE/dx does not matter, takes as little away.
    """
    width = 0.5
    case = {"relative_width": width, "free": ["birks_ab", "electron_lifetime"]}
    found = roots(run(sample(), cases=["line"], named_cases={"line": case}), "line")
    segments = sample()
    quench = TRUTH["birks_kb"] * segments.dEdx / (TRUTH["electric_field"] * TRUTH["density"])
    velocity = scaled_drift_velocity(TRUTH, GEOMETRY.temperature)
    time = (GEOMETRY.anode_distance(segments.centre[:, 2]) - GEOMETRY.response_start) / velocity
    slopes = np.stack([np.ones(len(time)), time / TRUTH["electron_lifetime"]], axis=1)
    slopes *= ((1 + quench) / width)[:, None]
    expected = 100 * np.sqrt(np.diag(np.linalg.inv(slopes.T @ slopes)) * segments.length.sum())
    np.testing.assert_allclose(list(found.values()), expected, rtol=0.01)


def test_published_bounds_come_out_where_dedx_limits_them() -> None:
    """Straight muons in deposits of 1 cm whose dE/dx fluctuates by 15 %, the width of its core; published are two
    digits, for other tracks over the same drift.
    """
    muons = muons_through(3, 4, GEOMETRY, 1)
    straight = chord(muons, Chord(), Context(GEOMETRY, Losses())).segments
    dedx = 1.8 * np.exp(0.15 * np.random.default_rng(1).normal(size=len(straight)))
    cases = ("S2_5", "S2_15", "S2_30", "S4_15", "S2_5_kb", "S2_15_kb", "S2_30_kb")
    result = run(straight.replace(dEdx=dedx, dE=dedx * straight.dx), part_cm=100.0, cases=cases)
    for case in result["cases"]:
        for name in {"birks_ab", "birks_kb", "electron_lifetime"} & set(case["free"]):
            p = case["parameters"][name]
            assert p["scaled"] == pytest.approx(p["published"], rel=0.15)


def test_known_deposits_are_as_well_known_as_by_the_expected_information(result: dict[str, Any]) -> None:
    """The information of the likelihood of known segments is another calculation, for draws of its own."""
    alone = with_threads(config())
    values = {n: TRUTH[n] for n in CALIBRATED}
    other = batch_information(alone, sample(), GEOMETRY, values, CALIBRATED, 1e4)
    expected = 100 * np.sqrt(60) * relative_uncertainty(other.matrix.sum(axis=0))
    found = roots(run(sample(), draws=4, cases=("S1_kb",)), "S1_kb")
    np.testing.assert_allclose(list(found.values()), expected, rtol=0.05)


def dense(segments: Segments, width: float) -> Floats:
    """`(P,)` bounds [%] per root of a cm from the inverse of the whole matrix of parameters and energies."""
    experiment = PixelExperiment(segments, GEOMETRY, with_threads(config()))
    data = experiment.data(TRUTH, noise_seed(1, 0, 0))
    rows = linked_probability(experiment.model.model, data, TRUTH, WITHOUT_KB)
    together = np.hstack([rows.rows, rows.local_rows.toarray()[:, :: len(MOVES)]])
    known = np.concatenate([np.zeros(len(WITHOUT_KB)), np.full(len(segments), width**-2)])
    covariance = np.linalg.inv(together.T @ together + np.diag(known))
    sigma = np.sqrt(np.diag(covariance)[: len(WITHOUT_KB)] * segments.length.sum())
    return np.asarray(100 * sigma / [TRUTH[n] for n in WITHOUT_KB])


def test_the_bound_is_that_of_the_inverse_of_the_whole_matrix() -> None:
    one = sample(tracks=3, segments=6)
    found = roots(run(one, part_cm=1000.0, cases=("S2_15",)), "S2_15")
    np.testing.assert_allclose(list(found.values()), dense(one, 0.15), rtol=1e-6)


def test_places_alone_unknown_lie_between_the_stages() -> None:
    cases = {"places": {"dedx": "known", "geometry": "unknown", "free": WITHOUT_KB}}
    result = run(sample(), cases=("S1", "places", "S4_30"), named_cases=cases)
    for name in WITHOUT_KB:
        least, middle, most = (roots(result, case)[name] for case in ("S1", "places", "S4_30"))
        assert least < middle < most
    # Places along the drift are times, from which E is known; A_B is charge, and only the ends of tracks add or take.
    worse = {n: roots(result, "places")[n] / roots(result, "S1")[n] for n in ("electric_field", "birks_ab")}
    assert worse["electric_field"] > 2 > worse["birks_ab"]
    assert result["cases"][1]["stage"] is None


def test_external_knowledge_of_the_lifetime_bounds_it_and_helps_the_others() -> None:
    cases = {
        "measured": {"relative_width": 0.15, "free": WITHOUT_KB, "priors_percent": {"electron_lifetime": 2.0}},
        "known": {"relative_width": 0.15, "free": [n for n in WITHOUT_KB if n != "electron_lifetime"]},
    }
    result = run(sample(), cases=("S2_15", "measured", "known"), named_cases=cases)
    free, measured, known = ({n: c["parameters"][n]["scaled"] for n in c["parameters"]} for c in result["cases"])
    assert measured["electron_lifetime"] < min(2.0, free["electron_lifetime"])
    assert "electron_lifetime" not in known
    assert known["birks_ab"] < measured["birks_ab"] < free["birks_ab"]
    assert result["cases"][1]["parameters"]["birks_ab"]["published"] is None


def test_parameters_whose_value_is_nothing_are_told_in_their_unit_and_take_the_field_with_them() -> None:
    cases = {"shifted": {"dedx": "known", "free": [*WITHOUT_KB, "shift_z"]}}
    result = run(sample(), cases=("S1", "shifted"), named_cases=cases)
    assert {p["name"]: p["unit"] for p in result["parameters"]}["shift_z"] == "cm"
    assert roots(result, "shifted")["shift_z"] > 0
    assert roots(result, "shifted")["electric_field"] > roots(result, "S1")["electric_field"]


def test_errors_are_from_the_scatter_of_parts(result: dict[str, Any]) -> None:
    one = run(sample(tracks=1), cases=("S1",))
    assert one["parts"] == 1 and one["cases"][0]["parameters"]["birks_ab"]["scaled_error"] is None
    for case in result["cases"]:
        for p in case["parameters"].values():
            assert 0 < p["scaled_error"] < p["scaled"]


def test_what_is_not_determined_has_no_number() -> None:
    """One segment has one charge: it cannot tell A_B from k_B."""
    track = straight_track(start=(0, 0, 10), segments=4)
    case = {"dedx": "known", "free": ["birks_ab", "birks_kb", "electric_field"]}
    result = run(track, cases=["flat"], named_cases={"flat": case})
    found = result["cases"][0]["parameters"]
    assert found["birks_ab"]["scaled"] is None and found["birks_kb"]["value"] == [None, None]
    assert "undetermined" in bound.table(result)
    assert figure.rows(result)[1][0][4] == "undetermined"
    figure.draw(result)


def test_a_gap_ends_a_chain() -> None:
    track = straight_track(segments=10)
    cut = track.take(np.arange(10) != 4)
    assert bound.without_gaps(track).track_index().max() == 0
    found = bound.without_gaps(cut)
    np.testing.assert_array_equal(found.track_index(), [0] * 4 + [1] * 5)
    np.testing.assert_array_equal(found.start, cut.start)


def test_published_bounds_are_of_the_same_knowledge() -> None:
    known = {name: bound.published_bound(case, "birks_ab") for name, case in STANDARD_CASES.items()}
    assert known["S1"] == 0.03 and known["S2_15"] == 0.14 and known["S4_30_kb"] == 1.1
    assert known["S2"] is None and known["S4_kb"] is None
    assert bound.published_bound(Knowledge(relative_width=0.1, free=WITHOUT_KB), "birks_ab") is None
    assert bound.published_bound(Knowledge(dedx="known", free=("birks_ab",)), "birks_ab") is None


def ladder(folder: Path, **changes: Any) -> Path:
    """A result of the study `ladder` of one length, as far as it is read."""
    p = {"errors_percent": {"total": 0.5, "total_error": 0.1}, "uncertainty_percent": 0.4}
    stages = {stage: {"parameters": {"birks_ab": p}} for stage in ("S1", "S2", "S3")}
    content = {"study": "ladder", "sample": "muons", "campaigns": [{"length_cm": 500.0, "stages": stages}], **changes}
    path = folder / "ladder.json"
    path.write_text(json.dumps(content))
    return path


def test_what_fits_reached_is_drawn_beside_the_bounds(tmp_path: Path, result: dict[str, Any]) -> None:
    fits = bound.reached(ladder(tmp_path))
    assert [point["stage"] for point in fits["points"]] == ["S1", "S2"]
    drawn, caption = figure.draw({**result, "reached": fits})
    black = [line for line in drawn.axes[0].lines if line.get_color() == "black" and line.get_marker() in "os^"]
    marks = [(line.get_marker(), *line.get_xdata(), *line.get_ydata()) for line in black]
    assert marks == [("o", 500.0, 0.5), ("s", 500.0, 0.5)]
    assert "fits of the study ladder of the sample muons" in caption
    with pytest.raises(ConfigError, match="is a result of the study pulls; name one of the study ladder"):
        bound.reached(ladder(tmp_path, study="pulls"))
    with pytest.raises(FileFormatError, match="make it anew"):
        bound.reached(ladder(tmp_path, campaigns=[{"length_cm": 500.0}]))


def test_figure_and_tables_show_every_case(result: dict[str, Any]) -> None:
    assert json.loads(json.dumps(result, allow_nan=False))["scaled_to_cm"] == 40000.0
    drawn, caption = figure.draw(result)
    assert len([ax for ax in drawn.axes if ax.axison]) == len(CALIBRATED)
    assert len(image(drawn, "svg")) > 10_000
    assert "60 cm of track in 60 segments" in caption and "published" in caption
    head, rows = figure.rows(result)
    assert len(rows) == len(STANDARD_CASES) and {len(row) for row in rows} == {len(head)}
    assert rows[0][:4] == ["S1", "known", "known", "–"]
    assert len(bound.table(result).splitlines()) == 2 + len(STANDARD_CASES)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"cases": ["S3"]}, "there is no case 'S3'; did you mean 'S"),
        ({"cases": ["S1", "S1"]}, "a case is listed twice"),
        ({"named_cases": {"a": {"dedx": "known", "relative_width": 0.1}}}, "leave it out or set dedx: unknown"),
        ({"named_cases": {"a": {"free": ["birks_a"]}}}, "no parameter 'birks_a'; did you mean 'birks_ab'"),
        ({"named_cases": {"a": {"free": ["birks_ab"], "priors_percent": {"birks_kb": 1}}}}, "add it to free"),
        ({"named_cases": {"a": {"free": ["shift_z"], "priors_percent": {"shift_z": 1}}}}, "there are no percents"),
    ],
)
def test_mistakes_in_cases_are_said_in_a_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Bound.model_validate(settings)


def test_no_segments_are_refused() -> None:
    with pytest.raises(SelectionError):
        run(no_segments())
