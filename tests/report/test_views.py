"""Views of a detector: things appear where they are, planes where the detector has them."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.report.views import DENSITY, Cloud, ascii_views, cloud_of_hits, cloud_of_segments, picture
from pipeline.storage.detector import load_geometry
from pipeline.tables import Floats

from ..inspect.samples import good_hits, good_segments

GEOMETRY = load_geometry("module0")


def at(*points: tuple[float, float, float], weight: float = 1.0) -> Cloud:
    where: Floats = np.array(points, dtype=np.float64).reshape(-1, 3)
    return Cloud(where, where, np.full(len(where), weight), "energy", "MeV")


def panels(text: str) -> tuple[list[str], list[str]]:
    """The cells of the top and of the side view, line by line, between their edges."""
    found = []
    lines = text.splitlines()
    right = lines[0].index("from the side")
    for first, last in ((8, right - 3 - 8), (right, None)):
        cut = [line[first:last].rstrip() for line in lines]
        edges = [i for i, line in enumerate(cut) if line.startswith("==")]
        found.append(cut[edges[0] + 1 : edges[1]])
    return found[0], found[1]


def drawn(cells: list[str]) -> list[tuple[int, int]]:
    return [(i, j) for i, line in enumerate(cells) for j, mark in enumerate(line) if mark in DENSITY]


def test_planes_stand_where_the_detector_has_them() -> None:
    top, side = panels(ascii_views(at(), GEOMETRY))
    for cells in (top, side):
        for line in cells:
            assert line.count("#") == 2 and 1 <= line.count("|") <= 2
            anode, other = line.index("#"), line.rindex("#")
            # The cathode is half way between the anodes.
            assert abs((anode + other) / 2 - line.index("|")) <= 1
    # The same scale in both views: the side is as much higher as the plane is.
    assert len(side) / len(top) == pytest.approx(280 / 140, rel=0.1)


@pytest.mark.parametrize("width", [60, 80, 119])
def test_no_line_is_wider_than_asked(width: int) -> None:
    text = ascii_views(cloud_of_segments(good_segments()), GEOMETRY, width)
    assert max(map(len, text.splitlines())) <= width


def test_a_point_is_drawn_up_where_y_is_high_and_right_where_z_is() -> None:
    """Corners of the detector come out in the corners of the views."""
    low, high = (-30.9, -83.0, -29.5), (30.9, 40.0, 29.5)
    for point, row, column in ((low, -1, 0), (high, 0, -1)):
        for cells in panels(ascii_views(at(point), GEOMETRY)):
            ((i, j),) = drawn(cells)
            assert i == (len(cells) - 1 if row else 0)
            near = j - cells[0].index("#") if column == 0 else cells[1].rindex("#") - j
            assert 0 <= near <= 1


def test_density_grows_with_what_is_in_a_cell() -> None:
    points, weights = [(0.0, 0.0, z) for z in (-20, -10, 10, 20)], [1.0, 10.0, 100.0, 1000.0]
    where = np.array(points)
    cloud = Cloud(where, where, np.array(weights), "energy", "MeV")
    _, side = panels(ascii_views(cloud, GEOMETRY))
    line = next(line for line in side if any(mark in DENSITY for mark in line))
    # Two steps of half a decade each.
    assert [DENSITY.index(mark) for mark in line if mark in DENSITY] == [0, 2, 4, 6]


def test_a_long_deposit_is_drawn_along_its_length() -> None:
    cloud = Cloud(np.array([[0.0, -60.0, 5.0]]), np.array([[0.0, 30.0, 5.0]]), np.ones(1), "energy", "MeV")
    top, side = panels(ascii_views(cloud, GEOMETRY))
    assert len(drawn(top)) == 1
    assert len({j for _, j in drawn(side)}) == 1
    assert len(drawn(side)) == pytest.approx(len(side) * 90 / 124, abs=1.5)


def test_what_lies_outside_is_counted() -> None:
    text = ascii_views(at((0, 0, 10), (500, 0, 10), (0, 0, -700)), GEOMETRY)
    assert "2 of 3 lie outside what is drawn" in text
    assert "outside" not in ascii_views(at((0, 0, 10)), GEOMETRY)


def test_nothing_and_no_numbers_can_be_drawn() -> None:
    assert not any(drawn(cells) for cells in panels(ascii_views(at((np.nan, 0, 0), (0, 0, np.inf)), GEOMETRY)))
    assert picture(at(), GEOMETRY, "nothing", "png").startswith(b"\x89PNG")


@pytest.mark.parametrize(("form", "begin"), [("png", b"\x89PNG\r\n"), ("svg", b"<?xml")])
def test_pictures_are_the_same_every_time(form: str, begin: bytes) -> None:
    cloud = cloud_of_hits(good_hits()) if form == "svg" else cloud_of_segments(good_segments(1))
    once, again = (picture(cloud, GEOMETRY, "sample.h5", form) for _ in range(2))
    assert once == again and once.startswith(begin)
    assert b"<dc:date>" not in once
