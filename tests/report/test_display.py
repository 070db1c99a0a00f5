import numpy as np
import pytest
from plotly.graph_objects import Figure

from pipeline.errors import ConfigError
from pipeline.report.display import MOST_SEGMENTS, choose_event, event_display, largest_deposits
from pipeline.storage.detector import load_geometry

from .samples import straight_tracks

GEOMETRY = load_geometry("module0")


def test_plotly_accepts_the_display_with_equal_scales_and_units() -> None:
    figure = event_display(straight_tracks(), GEOMETRY)
    Figure(figure)
    scene = figure["layout"]["scene"]
    assert scene["aspectmode"] == "data"
    assert all("[cm]" in scene[f"{axis}axis"]["title"]["text"] for axis in "xyz")
    assert "MeV/cm" in figure["data"][0]["line"]["colorbar"]["title"]["text"]


def test_deposits_are_drawn_where_they_are_with_gaps_between() -> None:
    segments = straight_tracks(10)
    trace = event_display(segments, GEOMETRY)["data"][0]
    drawn = np.array([trace[axis] for axis in "xyz"], dtype=float).T.reshape(10, 3, 3)
    assert np.allclose(drawn[:, 0], segments.start, rtol=1e-4, atol=1e-3)
    assert np.allclose(drawn[:, 1], segments.end, rtol=1e-4, atol=1e-3)
    assert np.all(np.isnan(drawn[:, 2]))


def test_colour_is_the_logarithm_of_the_loss_clipped_to_the_scale() -> None:
    segments = straight_tracks(4).replace(dEdx=np.array([0.1, 2.0, 30.0, 1e6]))
    line = event_display(segments, GEOMETRY)["data"][0]["line"]
    assert line["color"][::3] == pytest.approx(np.log10([1.0, 2.0, 30.0, 30.0]), abs=1e-3)
    assert (line["cmin"], line["cmax"]) == pytest.approx((0.0, np.log10(30.0)))


def test_planes_stand_at_the_anodes_and_the_shared_cathode_is_one() -> None:
    planes = {
        t["name"]: set(t["z"]) for t in event_display(straight_tracks(), GEOMETRY)["data"] if t["type"] == "mesh3d"
    }
    assert planes == {"anode (TPC 0)": {-30.431}, "anode (TPC 1)": {30.431}, "cathode": {0.0}}


def test_arrows_point_from_the_cathode_to_the_anodes() -> None:
    cones = [t for t in event_display(straight_tracks(), GEOMETRY)["data"] if t["type"] == "cone"]
    assert sorted(np.sign(c["z"][0]) * c["w"][0] for c in cones) == [1, 1]


def test_the_number_of_traces_does_not_grow_with_the_event() -> None:
    few, many = (len(event_display(straight_tracks(n), GEOMETRY)["data"]) for n in (5, 500))
    assert few == many


def test_of_a_huge_event_the_largest_deposits_are_kept() -> None:
    segments = straight_tracks(MOST_SEGMENTS + 100)
    kept = largest_deposits(segments)
    assert len(kept) == MOST_SEGMENTS
    assert kept.dE.min() >= np.sort(segments.dE)[100]
    assert np.all(np.diff(kept.segment_id) > 0)


def test_the_fullest_event_is_chosen_unless_one_is_asked_for() -> None:
    segments = straight_tracks(6).replace(event_id=np.array([4, 7, 7, 9, 9, 9]))
    assert choose_event(segments, None) == 9
    assert choose_event(segments, 4) == 4
    with pytest.raises(ConfigError, match=r"no event 5; its 3 events are numbered 4 to 9"):
        choose_event(segments, 5)
