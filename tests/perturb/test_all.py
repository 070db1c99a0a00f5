"""What holds for every perturbation: a new one is held to it by its line in the registry and one here."""

from dataclasses import fields

import numpy as np
import pytest

from pipeline.errors import ConfigError, SegmentError
from pipeline.perturb.apply import check_perturbations, perturb
from pipeline.perturb.chord import Chord
from pipeline.perturb.dedx_model import DedxModel
from pipeline.perturb.drop_segments import DropSegments
from pipeline.perturb.merge_segments import MergeSegments
from pipeline.perturb.registry import KINDS
from pipeline.perturb.resegment import Resegment
from pipeline.perturb.rotate import Rotate
from pipeline.perturb.scale_dedx import ScaleDedx
from pipeline.perturb.shift import Shift
from pipeline.perturb.shift_tracks import ShiftTracks
from pipeline.perturb.smear_dedx import SmearDedx
from pipeline.perturb.t0_offset import T0Offset
from pipeline.tables import Segments

from .samples import MODULE0, apply, bent_tracks, keys, of_track

SAMPLE = bent_tracks()
EXAMPLES = (
    Shift(x_cm=0.1, y_cm=-0.2, z_cm=0.3, drift_cm=0.05),
    ShiftTracks(low_cm=0, high_cm=0.3),
    ShiftTracks(along="x", distribution="gaussian", sigma_cm=0.1),
    Rotate(sigma_mrad=20),
    Rotate(angle_mrad=5, axis="z", about="start"),
    Rotate(sigma_mrad=20, axis="isotropic"),
    Chord(),
    ScaleDedx(factor=1.1),
    SmearDedx(sigma=0.2),
    SmearDedx(sigma=0.1, distribution="gaussian", per="track"),
    Resegment(length_cm=0.3),
    Resegment(length_cm=5),
    DedxModel(model="constant", value_mev_per_cm=2.1),
    DedxModel(model="mip"),
    DedxModel(model="mean"),
    DedxModel(model="most_probable", at="momentum", momentum_mev=1000),
    T0Offset(sigma_us=0.5),
    DropSegments(fraction=0.2, shorter_than_cm=0.2),
    MergeSegments(count=3),
)
SHOWN = [f"{number}-{example.kind}" for number, example in enumerate(EXAMPLES)]
every = pytest.mark.parametrize("settings", EXAMPLES, ids=SHOWN)


def shuffled(segments, seed=5):
    """Rows in another order, those of each track in their own."""
    place = np.random.default_rng(seed).random(len(segments))
    for event, traj in keys(segments):
        rows = (segments.event_id == event) & (segments.traj_id == traj)
        place[rows] = np.sort(place[rows])
    return segments.take(np.argsort(place))


def equal(a, b):
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(Segments))


def test_every_kind_has_an_example():
    assert {example.kind for example in EXAMPLES} == set(KINDS)


@every
def test_lengths_and_stopping_are_those_of_the_positions(settings):
    found = apply(SAMPLE, settings).segments
    np.testing.assert_array_equal(found.dx, found.length)
    np.testing.assert_allclose(found.dEdx * found.dx, found.dE, rtol=1e-12)
    assert all(np.isfinite(getattr(found, f.name)).all() for f in fields(Segments))
    assert np.all(found.dx > 0) and np.all(found.dE >= 0)


@every
def test_numbers_are_unique_and_tracks_keep_species_and_order(settings):
    found = apply(SAMPLE, settings).segments
    pairs = np.stack([found.event_id, found.segment_id], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(found)
    assert keys(found) <= keys(SAMPLE)
    for event, traj in keys(found):
        track, before = of_track(found, event, traj), of_track(SAMPLE, event, traj)
        assert set(track.pdg_id) == set(before.pdg_id)
        assert np.all(np.diff(track.t0) >= 0)


@every
def test_nothing_that_is_given_is_changed(settings):
    before = SAMPLE.take(np.arange(len(SAMPLE)))
    apply(SAMPLE, settings)
    assert equal(before, SAMPLE)


@every
def test_what_happens_to_a_track_does_not_depend_on_others_or_on_their_rows(settings):
    found = apply(SAMPLE, settings).segments
    other = apply(shuffled(SAMPLE), settings).segments
    for event, traj in keys(found):
        alone = apply(of_track(SAMPLE, event, traj), settings).segments
        expected = of_track(found, event, traj)
        for again in (alone, of_track(other, event, traj)):
            for name in ("start", "end", "dE", "t0", "pdg_id"):
                # Sums along all tracks lose a little to those before.
                np.testing.assert_allclose(
                    getattr(again, name), getattr(expected, name), rtol=1e-10, atol=1e-10, err_msg=name
                )


@every
def test_the_same_twice(settings):
    assert equal(apply(SAMPLE, settings).segments, apply(SAMPLE, settings).segments)


@pytest.mark.parametrize("settings", [e for e in EXAMPLES if e.stream is not None], ids=lambda e: e.kind)
def test_another_seed_draws_other_numbers(settings):
    if settings.kind == "rotate" and settings.axis == "z":
        return  # the same angle about the same axis: nothing is drawn
    assert not equal(apply(SAMPLE, settings).segments, apply(SAMPLE, settings.model_copy(update={"seed": 2})).segments)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"scale_dedx", "smear_dedx", "dedx_model", "drop_segments"}))
def test_moving_and_cutting_conserve_the_energy_of_every_track(kind):
    for settings in (e for e in EXAMPLES if e.kind == kind):
        found = apply(SAMPLE, settings).segments
        for event, traj in keys(SAMPLE):
            assert of_track(found, event, traj).dE.sum() == pytest.approx(
                of_track(SAMPLE, event, traj).dE.sum(), rel=1e-12
            )


@pytest.mark.parametrize(
    "settings",
    [
        Shift(x_cm=0, drift_cm=0),
        ShiftTracks(low_cm=0, high_cm=0),
        Rotate(sigma_mrad=0),
        ScaleDedx(factor=1),
        SmearDedx(sigma=0),
        T0Offset(offset_us=0),
        DropSegments(fraction=0),
        MergeSegments(count=1000).model_copy(update={"count": 1}),
    ],
    ids=lambda e: e.kind,
)
def test_nothing_happens_at_zero(settings):
    found = apply(SAMPLE, settings).segments
    for f in fields(Segments):
        np.testing.assert_allclose(getattr(found, f.name), getattr(SAMPLE, f.name), rtol=1e-12, atol=1e-12)


@every
def test_a_deposit_of_no_length_and_one_of_no_energy_do_no_harm(settings):
    n = len(SAMPLE)
    end, dE, dEdx = SAMPLE.end.copy(), SAMPLE.dE.copy(), SAMPLE.dEdx.copy()
    dE[[3, 10]], dEdx[[3, 10]] = 0.0, 0.0
    end[n // 2] = SAMPLE.start[n // 2]
    sample = SAMPLE.replace(end=end, dE=dE, dEdx=dEdx, dx=np.linalg.norm(end - SAMPLE.start, axis=1))
    found = apply(sample, settings).segments
    assert all(np.isfinite(getattr(found, f.name)).all() for f in fields(Segments))
    if settings.kind in ("resegment", "merge_segments", "chord", "shift"):
        assert found.dE.sum() == pytest.approx(dE.sum(), rel=1e-12)


def test_perturbations_follow_one_another_and_are_recorded():
    steps = (Shift(x_cm=0.5), SmearDedx(sigma=0.1), Resegment(length_cm=0.4))
    result = perturb(SAMPLE, steps, MODULE0, where="a.h5", key="scenarios.s.perturb")
    expected = SAMPLE
    for settings in steps:
        expected = apply(expected, settings).segments
    assert equal(result.segments, expected)
    assert [KINDS[s.kind].settings.model_validate_json(r.settings) for s, r in zip(steps, result.steps)] == list(steps)


def test_smearing_and_dropping_change_places():
    """Numbers of a deposit are its own: what is left after a drop is smeared as before."""
    smear, drop = SmearDedx(sigma=0.3), DropSegments(fraction=0.5)
    one = apply(apply(SAMPLE, smear).segments, drop).segments
    other = apply(apply(SAMPLE, drop).segments, smear).segments
    assert equal(one, other)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Shift(x_cm=100), r"s\.perturb\[1\]\.x_cm: a shift by 100 cm is larger than module0, 62.1 cm along x"),
        (ShiftTracks(low_cm=-40, high_cm=0), r"s\.perturb\[1\]\.low_cm: a shift by 40 cm .* 30.3 cm along drift"),
        (T0Offset(offset_us=1000), r"s\.perturb\[1\]\.offset_us: a shift by 160 cm"),
    ],
)
def test_shifts_larger_than_the_detector_are_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        check_perturbations((Chord(), settings), MODULE0, "s.perturb")


def test_what_leaves_nothing_or_no_numbers_is_refused():
    for settings, error, said in (
        (DropSegments(shorter_than_cm=1000), SegmentError, r"a.h5: s\[0\] \(drop_segments\) leaves no deposit"),
        (ScaleDedx(factor=1e308), SegmentError, r"a.h5: s\[0\] \(scale_dedx\) makes dE too large"),
        (Resegment(length_cm=1e-9), ConfigError, r"s\[0\]\.length_cm: 1e-09 cm makes"),
    ):
        with pytest.raises(error, match=said):
            perturb(SAMPLE, (settings,), MODULE0, where="a.h5", key="s")
