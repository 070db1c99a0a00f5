"""The study of reconstruction, on reconstructions whose faults are known: it must find exactly these."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from pipeline.config.models import Config
from pipeline.config.performance import ReconstructionPerformance
from pipeline.errors import SelectionError
from pipeline.report.study import drawing
from pipeline.study import reconstruction as study
from pipeline.study.matching import match
from pipeline.study.track_accuracy import performance
from pipeline.study.track_rows import Performance
from pipeline.study.truth_hits import HitOwners, Particles, particles_of
from pipeline.tables import Floats, Hits, Segments
from tests.study.toy_reconstruction import reconstruction_of
from tests.study.tracks import GEOMETRY, silent, study_config
from tests.tracks import no_segments, straight_track

#: Hits of each made-up particle.
EACH = 30


@cache
def crossing() -> Segments:
    """Eight muons of 40 cm, two per event, each with an electron of 2 MeV/cm that it knocked out on every segment."""
    rng = np.random.default_rng(7)
    tracks = []
    for k in range(8):
        start = np.array([-15 + 2 * (k % 3), 20.0 * (k % 2) - 30, 3.0 + 2.5 * k])
        direction = np.array([1.0, rng.uniform(-0.5, 0.5), rng.uniform(-0.2, 0.2)])
        tracks.append(straight_track(event=k // 2, traj=100 * (k % 2), start=start, direction=direction, segments=40))
        along = direction / np.linalg.norm(direction)
        for n in range(40):
            knocked = straight_track(event=k // 2, traj=100 * (k % 2) + n + 1, start=start + (n + 0.4) * along,
                                     direction=(0.0, 1.0, 0.0), segments=1, step=0.02, pdg=11)  # fmt: skip
            tracks.append(knocked)
    return Segments.concatenate(tracks)


def same(points: Floats) -> Floats:
    return points


def performance_of(
    *,
    moved: Callable[[Floats], Floats] = same,
    relabel: Callable[[Any], Any] = lambda labels: labels,
    dedx: float = 2.142,
    charge: float = 1.0,
    knocked_out: float = 0.0,
    held: float = 1.0,
) -> Performance:
    """A reconstruction of `crossing` beside the truth; `relabel` gives hits to other tracks, `charge` is that of tracks
    in units of what is collected. Per centimetre a muon leaves 2.1 MeV, what it knocks out 0.042; `knocked_out` MeV/cm
    are found beside it, and the part `held` of what it knocks out is in its hits.
    """
    segments = crossing()
    particles = particles_of(segments)
    assert len(particles) == 8
    owner = np.repeat(np.arange(8), EACH)
    hit_track = relabel(owner.copy())
    hits = hits_beside(segments, particles, owner)
    owners = HitOwners(owner, np.ones(len(owner)), np.full(8, 1e6))
    made = reconstruction_of(
        segments, particles, hit_track, np.arange(8),
        moved=moved, dedx=dedx, charge=np.full(8, charge * 1e6), knocked_out=knocked_out,
    )  # fmt: skip
    matching = match(owner, hit_track, 8, 8)
    return performance(
        made, segments, particles, owners, matching, hits, GEOMETRY,
        window=20.0, held=np.where(particles.own, 1.0, held),
    )  # fmt: skip


def hits_beside(segments: Segments, particles: Particles, owner: Any) -> Hits:
    """Hits along each particle, of which only the drift coordinate matters."""
    z = np.concatenate([
        np.linspace(*segments.centre[particles.own & (particles.of_segment == k)][[0, -1], 2], EACH) for k in range(8)
    ])  # fmt: skip
    zero, whole = np.zeros(len(z)), np.zeros(len(z), dtype=np.int64)
    return Hits(particles.event_id[owner], whole, whole, whole, whole, zero, zero, z, zero, zero, zero, 0.16, {})


def result_of(rows: Performance) -> dict[str, Any]:
    return study.summary(study_config(reconstruction=ReconstructionPerformance()), rows)


def headline(rows: Performance) -> dict[str, float]:
    return {row["key"]: row["value"][0] for row in result_of(rows)["headline"]}


def test_a_perfect_reconstruction_has_no_fault():
    found = headline(performance_of())
    for key in ("efficiency", "purity", "hit_purity", "hits_kept", "charge"):
        assert found[key] == pytest.approx(1)
    for key in ("distance", "angle", "bias_x", "bias_away", "end_gap", "end_off", "beyond", "windows_missed"):
        assert found[key] == pytest.approx(0, abs=1e-6)
    assert found["dedx"] == pytest.approx(1, abs=1e-6) and found["dedx_median"] == pytest.approx(1, abs=1e-6)


def test_lost_and_mixed_tracks_are_counted():
    def lose(labels):
        labels[:EACH] = np.where(np.arange(EACH) < 14, labels[:EACH], -1)  # particle 0: 14 of 30 hits are left
        labels[EACH : EACH + 6] = 7  # particle 1 gives 6 of its hits to track 7, which has 36
        return labels

    rows = performance_of(relabel=lose)
    found = headline(rows)
    assert found["efficiency"] == pytest.approx(7 / 8)
    assert found["hit_purity"] == pytest.approx((24 + 5 * 30 + 30) / (24 + 5 * 30 + 36))
    assert found["hits_kept"] == pytest.approx((24 + 6 * 30) / 240)
    assert found["purity"] == 1  # the track of 14 hits is too small to be counted
    assert result_of(rows)["worst"][0]["share"] == pytest.approx(14 / 30)

    def confuse(labels):
        labels[EACH : 2 * EACH : 2] = 0  # half of particle 1 in track 0, of which it then is a third
        return labels

    found = headline(performance_of(relabel=confuse))
    assert found["efficiency"] == pytest.approx(6 / 8)  # 0 for its impure track, 1 because its own holds half ...
    assert found["purity"] == pytest.approx(6 / 8)


@pytest.mark.parametrize(("axis", "key"), [(0, "bias_x"), (1, "bias_y"), (2, "bias_away")])
def test_a_shift_is_found_with_its_sign(axis, key):
    """A shift along a track is none, so that the shift that is seen is the part perpendicular to it."""
    by = np.zeros(3)
    by[axis] = 0.1
    rows = performance_of(moved=lambda points: points + by)
    step = crossing().end - crossing().start
    unit = (step / np.linalg.norm(step, axis=1)[:, None])[crossing().pdg_id == 13]
    seen = by - (unit @ by)[:, None] * unit
    sign = -1 if key == "bias_away" else 1  # all z > 0: away from the anode is towards smaller z
    found = headline(rows)
    assert found[key] == pytest.approx(10 * sign * seen[:, axis].mean(), rel=1e-6)
    assert found["distance"] == pytest.approx(10 * np.sqrt((seen**2).sum(axis=1).mean()), rel=1e-6)
    assert np.hypot(found["across"], found["deep"]) == pytest.approx(found["distance"])
    if axis == 2:
        assert found["across"] == pytest.approx(0, abs=1e-9)
    assert found["angle"] == pytest.approx(0, abs=1e-6)


def test_a_turn_is_found_as_the_angle():
    def turned(points: Floats) -> Floats:
        """About the middle, by 4 mrad, in the plane of the track and the drift."""
        unit = (points[-1] - points[0]) / np.linalg.norm(points[-1] - points[0])
        aside = np.cross(np.cross(unit, [0, 0, 1.0]), unit)
        aside /= np.linalg.norm(aside)
        middle = points.mean(axis=0)
        s = (points - middle) @ unit
        return middle + s[:, None] * (np.cos(0.004) * unit + np.sin(0.004) * aside)

    rows = performance_of(moved=turned)
    found = headline(rows)
    assert found["angle"] == pytest.approx(4, rel=1e-3) and found["angle_90"] == pytest.approx(4, rel=1e-3)
    # Centres at +-0.5 ... +-19.5 cm from the middle.
    assert found["deep"] == pytest.approx(0.04 * np.sqrt(np.mean((np.arange(40) - 19.5) ** 2)), rel=1e-3)
    assert found["across"] == pytest.approx(0, abs=1e-9)


def test_wrong_energy_charge_and_ends_are_found():
    found = headline(performance_of(dedx=2.142 * 1.05, charge=0.9))
    assert found["dedx"] == pytest.approx(1.05, rel=1e-6) and found["charge"] == pytest.approx(0.9)
    rows = performance_of(moved=partial(stretched, by=0.3))
    found = headline(rows)
    assert found["end_gap"] == pytest.approx(3) and found["end_off"] == pytest.approx(0, abs=1e-9)
    assert found["distance"] == pytest.approx(0, abs=1e-9)
    backwards = headline(performance_of(moved=lambda points: points[::-1]))
    assert backwards["end_gap"] == pytest.approx(0, abs=1e-9) and backwards["dedx"] == pytest.approx(1, abs=1e-6)


def test_what_was_knocked_out_is_in_the_hits_of_the_track_beside_it_or_lost():
    inside = headline(performance_of())
    assert inside["dedx"] == pytest.approx(1, abs=1e-6) and inside["dedx_all"] == pytest.approx(1, abs=1e-6)
    beside = headline(performance_of(dedx=2.1, knocked_out=0.042, held=0.0))
    assert beside["dedx"] == pytest.approx(1, abs=1e-6) and beside["dedx_all"] == pytest.approx(1, abs=1e-6)
    assert beside["dedx_peak"] == pytest.approx(1, abs=1e-6)
    lost = headline(performance_of(dedx=2.1, held=0.0))
    assert lost["dedx"] == pytest.approx(1, abs=1e-6) and lost["dedx_all"] == pytest.approx(2.1 / 2.142, abs=1e-6)


def stretched(points: Floats, *, by: float) -> Floats:
    """Longer by `by` [cm] on both sides."""
    unit = (points[-1] - points[0]) / np.linalg.norm(points[-1] - points[0])
    length = np.linalg.norm(points[-1] - points[0])
    s = ((points - points[0]) @ unit)[:, None]
    return points[0] + ((length + 2 * by) * s / length - by) * unit


def test_what_is_past_the_end_of_a_short_curve_is_missed_and_not_far():
    """Tracks that end 10 cm early on both sides: a centimetre of grace, then half of the path is past the ends."""
    found = headline(performance_of(moved=partial(stretched, by=-10.0)))
    assert found["beyond"] == pytest.approx(18 / 40)
    assert found["distance"] == pytest.approx(0, abs=1e-9) and found["end_gap"] == pytest.approx(-100)
    assert headline(performance_of(moved=partial(stretched, by=-9.5)))["windows_missed"] == 0  # half is left of each
    assert headline(performance_of(moved=partial(stretched, by=-15.0)))["windows_missed"] == 1


def test_bins_hold_all_that_is_there_and_the_figure_has_a_point_in_each():
    rows = performance_of()
    result = result_of(rows)
    curves = result["curves"]
    assert len(curves["rms_deep"]["drift"]["count"]) == 20 == len(curves["efficiency"]["cos_drift"]["count"])
    for x in ("cos_drift", "drift"):
        assert sum(curves["efficiency"][x]["count"]) == 8 and sum(curves["rms_across"][x]["count"]) == 320
    assert sum(curves["efficiency"]["length"]["count"]) == 8 == sum(curves["purity"]["hits"]["count"])
    assert "8" not in study.table(result).splitlines()[0] and "4 events" in study.table(result)
    figure, table = drawing({"study": "reconstruction", **result})
    assert "40 hits" not in figure.caption and "4 events" in figure.caption
    assert len(table.rows) == len(result["headline"])


def test_a_real_reconstruction_of_a_straight_muon_goes_through():
    """Deposits, noise, hits and reconstruction; a straight muon of constant loss lies where it was within a tenth of a
    pixel.
    """
    segments = straight_track(start=(-12, 3.1, 20.0), direction=(1, 0.4, -0.3), segments=21)
    result = study.run(study_config(), segments, GEOMETRY, silent)
    found = {row["key"]: row["value"][0] for row in result["headline"]}
    assert found["efficiency"] == found["purity"] == 1
    assert found["distance"] < 0.45 and found["angle"] < 10 and abs(found["dedx"] - 1) < 0.05


def test_samples_without_anything_to_find_are_refused():
    config = study_config(reconstruction=ReconstructionPerformance(first_event=9))
    with pytest.raises(SelectionError, match=r"has 4 events, and study\.reconstruction\.first_event = 9"):
        study.run(config, crossing(), GEOMETRY, silent)
    with pytest.raises(SelectionError, match="has 0 events"):
        study.run(Config(), no_segments(), GEOMETRY, silent)
    only = study_config(reconstruction=ReconstructionPerformance(species=(321,)))
    with pytest.raises(SelectionError, match=r"no particle of study\.reconstruction\.species has any hit, only"):
        study.summary(only, performance_of())
