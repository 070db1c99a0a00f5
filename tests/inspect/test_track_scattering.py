import numpy as np
import pytest

from pipeline.inspect import sample_tracks as sample
from pipeline.inspect import track_scattering as scattering
from pipeline.inspect.track_quantities import tracks_of
from pipeline.matter.particles import mass
from pipeline.storage.detector import load_geometry
from pipeline.tables import Segments

from ..tracks import no_segments, polyline, random_walk, stopping_track, straight_track

GEOMETRY = load_geometry("module0")
MUON = mass(13)
#: Highland's width of muons of 2 GeV over 10 cm [rad].
WIDTH = float(scattering.highland_width(np.array(2000.0), np.array(10.0), MUON))


def found(segments: Segments) -> scattering.Deflections:
    tracks = tracks_of(segments)
    return scattering.deflections(tracks, np.ones(len(tracks), dtype=bool))


def test_highland_is_the_number_of_the_formula() -> None:
    """By hand for one radiation length (14.0 cm) and a muon of 1 TeV, at nearly the velocity of light."""
    length = np.array(19.55 / 1.396)
    assert scattering.highland_width(np.array(1e6), length, MUON) == pytest.approx(13.6e-6, rel=1e-3)
    # A muon of p = 200 MeV/c over 10 cm: E = 226.2 MeV, beta = 0.8842, p v = 176.8 MeV, x/X0 = 0.714.
    kinetic = sample.kinetic_of_momentum(np.array(200.0), 13)
    expected = 13.6 / 176.84 * np.sqrt(0.71407) * (1 + 0.038 * np.log(0.71407 / 0.7818))
    assert scattering.highland_width(kinetic, np.array(10.0), MUON) == pytest.approx(expected, rel=1e-4)


def test_a_straight_track_does_not_scatter() -> None:
    for direction in ((1, 0, 0), (0, 0, -1), (0.3, -0.5, 0.8)):
        bends = found(straight_track(direction=direction, segments=81, step=0.5, start=(0, 0, 0)))
        assert bends.path == pytest.approx(np.full(4, 10.0))
        assert np.abs(bends.angle).max() < 1e-12


@pytest.mark.parametrize("turn", [0.01, 0.3, 1.2])
@pytest.mark.parametrize("azimuth", [0.0, 0.7, 2.5])
def test_a_bend_is_found_with_its_angle(turn: float, azimuth: float) -> None:
    """A single corner: tan of the two projections are the components of the turn, so their squares add up."""
    side = np.sin(turn) * np.array([0.0, np.cos(azimuth), np.sin(azimuth)])
    after = np.array([np.cos(turn), 0, 0]) + side
    step = 0.5 * np.arange(15.0)[:, None]
    corner = np.array([7.0, 0, 0])
    bends = found(polyline(np.concatenate([step * [1, 0, 0], corner + step[1:] * after])))
    assert len(bends) == 1
    assert np.linalg.norm(np.tan(bends.angle[0])) == pytest.approx(np.tan(turn))


def test_projected_angles_of_perpendicular_planes() -> None:
    before = np.array([[1.0, 0, 0], [0, 0, 1], [0, 0.6, 0.8]])
    rng = np.random.default_rng(1)
    small = 1e-4 * rng.normal(size=(3, 3))
    small -= np.sum(small * before, axis=1, keepdims=True) * before
    angles = scattering.projected_angles(before, before + small)
    assert np.linalg.norm(angles, axis=1) == pytest.approx(np.linalg.norm(small, axis=1), rel=1e-6)


def test_no_angle_is_taken_across_a_gap() -> None:
    track = straight_track(segments=24)
    assert len(found(track)) == 2
    assert not len(found(track.take(np.r_[0:6, 8:12])))


def test_a_random_walk_has_the_width_it_was_made_with() -> None:
    """Energy held at 2 GeV; 60 tracks of 61 cm, each giving six stretches and twelve angles."""
    rng = np.random.default_rng(5)
    tracks = tracks_of(Segments.concatenate([random_walk(rng, WIDTH, 0.5, 122, n) for n in range(60)]))
    bends = scattering.deflections(tracks, np.ones(60, dtype=bool))
    energy = np.full(len(tracks.segments), 2000.0)
    pulls = bends.angle / scattering.expected_width(tracks, bends, energy)[:, None]
    assert pulls.size == 60 * 12
    # The half-width of n Gaussian numbers is uncertain by 0.96 / sqrt(n): three of these.
    assert scattering.half_width(pulls.ravel()) == pytest.approx(1.0, abs=3 * 0.96 / np.sqrt(pulls.size))


def test_expected_width_of_a_track_that_slows_is_the_mean_along_it() -> None:
    """Simpson's rule against a fine sum of 1 / (p v)^2 over the stretch, with the path kept in the logarithm."""
    tracks = tracks_of(stopping_track(13, 40.0))
    s = sample.sample_tracks(tracks.segments, GEOMETRY)
    bends, energy = s.deflections, s.kinetic_energy
    for n in np.flatnonzero(np.isfinite(s.highland)):
        inside = energy[bends.earlier[n] : bends.later[n] + 1]
        each = scattering.highland_width(inside, np.full(len(inside), bends.path[n]), MUON) ** 2
        weight = np.r_[0.5, np.ones(len(inside) - 2), 0.5]
        fine = np.sqrt(np.average(each, weights=weight))
        assert s.highland[n] == pytest.approx(fine, rel=0.02)
    assert np.isfinite(s.highland).sum() >= 2


def test_energy_that_is_not_known_gives_no_width() -> None:
    tracks = tracks_of(straight_track(segments=24))
    bends = scattering.deflections(tracks, np.ones(1, dtype=bool))
    unknown = np.full(len(tracks.segments), np.nan)
    assert np.isnan(scattering.expected_width(tracks, bends, unknown)).all()


def test_nothing_and_one_deposit() -> None:
    for segments in (no_segments(), straight_track(segments=1)):
        assert not len(found(segments))
        assert found(segments).angle.shape == (0, 2)


def test_geant4_muons_scatter_as_highland_says(shared_data) -> None:
    """1 GeV muons of Geant4; Highland's formula is good to 11 %, and 5000 angles give the width to 1.4 %."""
    from pipeline.config.models import Checks
    from pipeline.storage.segments import read_segments

    path = shared_data / "g4_muon_1gev_100ev.h5"
    segments = read_segments(path, checks=Checks(), geometry=GEOMETRY).segments
    tracks = tracks_of(segments)
    start = np.where(np.abs(tracks.species) == 13, 1000.0, np.nan)
    ratio, angles = sample.sample_tracks(segments, GEOMETRY, start).scattering_ratio(13)
    assert angles > 5000
    assert ratio == pytest.approx(1.0, abs=0.11)


def test_geant4_protons_stop_with_the_energy_of_their_range(shared_data) -> None:
    """Three quarters stop; the rest interact on their way. The range table is good to 1 %."""
    from pipeline.config.models import Checks
    from pipeline.storage.segments import read_segments

    path = shared_data / "g4_stopping_proton_150ev.h5"
    s = sample.sample_tracks(read_segments(path, checks=Checks(), geometry=GEOMETRY).segments, GEOMETRY)
    stop, otherwise = (int(s.ended(2212, stopping=stopping).sum()) for stopping in (True, False))
    assert stop > 500 and otherwise > 100
    assert s.energy_ratio(2212) == pytest.approx(1.0, abs=0.01)
