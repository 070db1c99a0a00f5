"""The detector description: numbering of pixels, drift volumes, the scale of the readout."""

from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.detector.geometry import DetectorGeometry, geometry_from_mapping
from pipeline.tables import Segments

from ..conftest import ROOT

MODULE0 = ROOT / "pipeline" / "detector" / "files" / "module0.yaml"


def content() -> dict[str, Any]:
    mapping = yaml.safe_load(MODULE0.read_text(encoding="utf-8"))
    assert isinstance(mapping, dict)
    return mapping


GEOMETRY = geometry_from_mapping(content())


def integers(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def tpc_at(x: float, y: float, z: float, geometry: DetectorGeometry = GEOMETRY) -> int:
    return int(geometry.tpc_of(np.array([[x, y, z]]))[0])


def segments_around(centre: tuple[float, float, float], half: tuple[float, float, float]) -> Segments:
    middle, step = np.array([centre]), np.array([half])
    index, one = integers(0), np.ones(1)
    return Segments(
        index, index, index, index, index + 13, middle - step, middle + step, 0 * one, 0 * one, 0 * one, one, one, one
    )


# --- numbering ---


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, GEOMETRY.pixels[0] - 1), st.integers(0, GEOMETRY.pixels[1] - 1)),
        min_size=1,
        max_size=20,
    )
)
def test_a_pixel_is_found_again_from_its_channel(pixels: list[tuple[int, int, int]]) -> None:
    columns = np.array(pixels, dtype=np.int64).T

    found = GEOMETRY.pixel(GEOMETRY.channel(*columns))

    for column, again in zip(columns, found):
        np.testing.assert_array_equal(again, column)


def test_channels_number_all_pixels_without_gaps_in_order() -> None:
    """2 x 140 x 280 pixels, increasing in tpc, pixel_x, pixel_y."""
    tpc, x, y = (a.ravel() for a in np.indices((len(GEOMETRY.tpcs), *GEOMETRY.pixels)))

    np.testing.assert_array_equal(GEOMETRY.channel(tpc, x, y), np.arange(78400))


# --- module 0 ---


def test_module_0_as_published() -> None:
    """Drift length, pitch and numbers of pixels of the ND-LAr prototype."""
    assert GEOMETRY.pixel_pitch == 0.4434
    assert GEOMETRY.pixels == (140, 280)
    for tpc in GEOMETRY.tpcs:
        assert abs(tpc.z_anode - tpc.z_cathode) == pytest.approx(30.27225)


def test_the_drift_volumes_are_mirror_images() -> None:
    first, second = GEOMETRY.tpcs

    assert (first.z_anode, first.z_cathode) == (-second.z_anode, -second.z_cathode)
    assert first.z_anode < 0 < second.z_anode


@given(st.floats(-31.0, 31.0), st.floats(-83.8, 40.2), st.floats(0.16, 30.43))
def test_the_sign_of_z_tells_the_drift_volume(x: float, y: float, z: float) -> None:
    assert (tpc_at(x, y, -z), tpc_at(x, y, z)) == (0, 1)


@given(st.floats(-31.0, 31.0), st.floats(-83.8, 40.2), st.floats(-0.1587, 0.1587))
def test_nothing_drifts_inside_the_cathode(x: float, y: float, z: float) -> None:
    assert tpc_at(x, y, z) == -1


@pytest.mark.parametrize(
    "point",
    [(31.1, 0.0, 10.0), (-31.1, 0.0, 10.0), (0.0, 40.3, 10.0), (0.0, -83.9, 10.0), (0.0, 0.0, 30.5), (0.0, 0.0, -30.5)],
)
def test_points_outside_belong_to_no_volume_and_are_not_active(point: tuple[float, float, float]) -> None:
    assert tpc_at(*point) == -1
    assert not GEOMETRY.active(segments_around(point, (0.0, 0.0, 0.0)))[0]


def test_active_judges_the_middle_of_a_segment() -> None:
    """A segment that pokes out of the volume counts by its centre, and the cathode lies within the outer bounds."""
    poking = segments_around((30.9, 0.0, 10.0), (0.5, 0.0, 0.0))
    mostly_out = segments_around((31.2, 0.0, 10.0), (0.5, 0.0, 0.0))
    through_cathode = segments_around((0.0, 0.0, 0.0), (0.0, 0.0, 1.0))

    assert [bool(GEOMETRY.active(s)[0]) for s in (poking, mostly_out, through_cathode)] == [True, False, True]


@given(st.floats(0.0, 30.431))
def test_anode_distance_is_to_the_anode_of_the_same_side(depth: float) -> None:
    z = np.array([30.431 - depth, depth - 30.431])

    np.testing.assert_allclose(GEOMETRY.anode_distance(z), depth, atol=1e-12)


# --- a wrong description is refused ---


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("pixels",), [140, 300], "y_range is not 300 pixels"),
        (("pixels",), [70, 280], "x_range is not 70 pixels"),
        (("pixel_pitch",), -0.4434, "pixel_pitch"),
        (("pixel_pitch",), float("nan"), "pixel_pitch"),
        (("tpcs",), [], "tpcs"),
        (("tpcs", 0, "tpc"), 1, "numbered 0, 1"),
        (("readout", "threshold"), 0.0, "threshold"),
        (("readout", "pdestal"), 580.0, "pdestal"),
        (("drift_axis",), "t", "drift_axis"),
        (("temperature",), float("inf"), "temperature"),
    ],
)
def test_wrong_descriptions_are_refused_by_name(path: tuple[Any, ...], value: object, says: str) -> None:
    wrong = content()
    place: Any = wrong
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value

    with pytest.raises(ValidationError) as refusal:
        geometry_from_mapping(wrong)

    assert says in str(refusal.value)


def test_a_description_without_readout_is_refused() -> None:
    wrong = content()
    del wrong["readout"]

    with pytest.raises(ValidationError, match="readout"):
        geometry_from_mapping(wrong)


def test_the_nearest_drift_volume_is_the_one_that_holds_a_point_else_that_of_the_nearest_anode() -> None:
    for t in GEOMETRY.tpcs:
        low, high = sorted((t.z_anode, t.z_cathode))
        beyond = t.z_anode - 5.0 * GEOMETRY.outward(np.array([t.tpc]))[0]
        z = np.array([low, 0.5 * (low + high), high, beyond])
        assert (GEOMETRY.nearest_tpc(z) == t.tpc).all()
    # In the cathode itself neither is nearer by more than its thickness.
    middle = np.mean([t.z_cathode for t in GEOMETRY.tpcs])
    assert GEOMETRY.nearest_tpc(np.array([middle]))[0] in (0, 1)
    one = GEOMETRY.model_copy(update={"tpcs": GEOMETRY.tpcs[:1]})
    assert (one.nearest_tpc(np.array([-40.0, 0.0, 40.0])) == 0).all()
