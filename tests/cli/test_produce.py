"""`gradcal produce`, from the configuration to the file."""

import json
import multiprocessing
import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.cli.main import run
from pipeline.config.models import Checks, Config, Sample, Select
from pipeline.errors import MemoryLimitError
from pipeline.produce.sample import Recipe, parts, produce, produce_part
from pipeline.produce.transport import Transported
from pipeline.select.cuts import apply_cuts
from pipeline.storage.detector import load_geometry
from pipeline.storage.sample import has_trajectories, read_trajectories
from pipeline.storage.segments import read_segments
from pipeline.tables import Segments, Trajectories


def settings(**generator: object) -> str:
    return json.dumps({"sample": {"generator": generator}})


SMALL = settings(preset="muons_and_protons", events=4)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("produced") / "small.h5"
    assert run(["produce", "--config-json", SMALL, str(file)]) == 0
    return file


def test_file_is_in_the_edep_sim_frame_and_passes_all_checks(small: Path) -> None:
    """Module 0 drifts along x in edep-sim's frame: x within 30.431, z within 31.039 cm."""
    with h5py.File(small) as content:
        rows = content["segments"][:]
    for end in ("start", "end"):
        assert np.abs(rows[f"x_{end}"]).max() <= 30.431 + 1e-9
        assert np.abs(rows[f"z_{end}"]).max() <= 31.039 + 1e-9
    assert max(np.abs(rows["z_start"]).max(), np.abs(rows["z_end"]).max()) > 30.5
    assert set(rows["event_id"].tolist()) == set(range(4))
    assert rows["segment_id"].tolist() == list(range(len(rows)))
    read = read_segments(small, checks=Checks(zero_length="refuse"), geometry=load_geometry("module0"))
    assert read.warnings == ()
    assert len(read.segments) == len(rows)


def test_trajectories_stand_beside_the_segments(small: Path) -> None:
    """The truth: primaries as the preset says, every deposit's particle, energy that adds up."""
    assert has_trajectories(small)
    tracks = read_trajectories(small)
    segments = read_segments(small, checks=Checks(), geometry=load_geometry("module0")).segments
    primaries = tracks.take(tracks.parent_id < 0)
    assert sorted(np.abs(primaries.pdg_id).tolist()) == [13] * 16 + [2212] * 16
    assert np.all(primaries.kinetic_start[np.abs(primaries.pdg_id) == 13] == 1000)
    species = dict(zip(zip(tracks.event_id.tolist(), tracks.traj_id.tolist()), tracks.pdg_id.tolist()))
    owners = zip(segments.event_id.tolist(), segments.traj_id.tolist())
    assert [species[owner] for owner in owners] == segments.pdg_id.tolist()
    assert segments.dE.sum() == pytest.approx(tracks.deposited.sum(), rel=1e-9)
    for event in range(4):
        mine = tracks.take(tracks.event_id == event)
        supply = mine.supply[mine.parent_id < 0].sum()
        assert (mine.deposited + mine.escaped + mine.untracked).sum() == pytest.approx(supply, rel=1e-9)


def test_starts_of_tracks_are_in_the_same_frame_as_segments(small: Path) -> None:
    tracks = read_trajectories(small)
    segments = read_segments(small, checks=Checks(), geometry=load_geometry("module0")).segments
    for track in np.flatnonzero(tracks.parent_id < 0)[:8]:
        mine = (segments.event_id == tracks.event_id[track]) & (segments.traj_id == tracks.traj_id[track])
        np.testing.assert_allclose(segments.start[mine][0], tracks.start[track], atol=1e-9)


def test_same_configuration_same_bytes_on_any_number_of_processes(tmp_path: Path) -> None:
    config = settings(preset="stopping_proton", events=170)
    files = [tmp_path / f"{number}.h5" for number in range(3)]
    for file, processes in zip(files, ("1", "2", "2")):
        assert run(["produce", "--config-json", config, "--processes", processes, str(file)]) == 0
    assert files[0].read_bytes() == files[1].read_bytes() == files[2].read_bytes()


def test_more_events_leave_the_first_as_they_were(tmp_path: Path) -> None:
    """A part has its own random numbers: 200 events begin with the whole parts of 100."""
    geometry = load_geometry("module0")

    def events(number: int) -> list[Segments]:
        sample = Sample.model_validate({"generator": {"preset": "stopping_proton", "events": number}})
        return [part.segments for part in produce(Recipe.of(sample, geometry, 1), 1)]

    few, many = events(100), events(200)
    assert len(many) > len(few) >= 2
    assert few[0].dE.tobytes() == many[0].dE.tobytes()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"sample": {"file": "real.root"}}', "sample.file: the sample is the file real.root"),
        (settings(preset="muon_1gev", blocks={"a": {"species": []}}), "species"),
        (settings(preset="cosmic_moun"), "preset"),
        (settings(events=0), "events"),
        (settings(preset="muon_1gev", events=10**9), "lower events"),
        (settings(dlp_file="nowhere.yaml"), "nowhere.yaml"),
        (settings(blocks={"a": {"species": [{"pdg": [2112], "kinetic_energy_mev": [1, 2]}]}}), "neutral"),
        (settings(blocks={"a": {"species": [{"pdg": [13], "kinetic_energy_mev": [9, 1]}]}}), "upside down"),
        (
            settings(blocks={"a": {"species": [{"pdg": [13], "kinetic_energy_mev": [5, 9]}], "x_cm": [0, 99]}}),
            "reaches out of the detector",
        ),
        ('{"sample": {"transport": {"step_cm": 0}}}', "step_cm"),
        ('{"sample": {"engine": "edep-sim", "edep_sim": {"executable": "no-such-program"}}}', "no-such-program"),
    ],
)
def test_bad_settings_end_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], config: str, message: str
) -> None:
    assert run(["produce", "--config-json", config, str(tmp_path / "out.h5")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("gradcal produce: ") and said.count("\n") == 1
    assert message in said
    assert "fault in this program" not in said
    assert list(tmp_path.iterdir()) == []


def test_particles_that_all_miss_the_detector_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = {
        "species": [{"pdg": [13], "kinetic_energy_mev": [1000, 1000]}],
        "x_cm": [-31.039, -31.039],
        "direction": [-1, 0, 0],
    }
    assert run(["produce", "--config-json", settings(blocks={"out": block}), str(tmp_path / "out.h5")]) == 2
    assert "leave nothing in the detector" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_default_sample_suffices_after_the_default_cuts(seed: int) -> None:
    """600 cm, the default of select.max_total_length_cm, must be there before that cut, protons among them."""
    geometry = load_geometry(Config().detector.file)
    parts = list(produce(Recipe.of(Sample(), geometry, seed), 1))
    sample = Segments.concatenate([part.segments for part in parts])
    selection = apply_cuts(sample, Select(max_total_length_cm=None), geometry, seed, "sample")
    assert selection.cut_flow[-1].length_cm > 600
    protons = selection.segments.take(selection.segments.pdg_id == 2212)
    assert protons.length.sum() > 60


def test_an_empty_event_is_possible(tmp_path: Path) -> None:
    block = {"vertices": [0, 1], "species": [{"pdg": [13], "kinetic_energy_mev": [1000, 1000]}], "position": "border"}
    file = tmp_path / "some.h5"
    assert run(["produce", "--config-json", settings(blocks={"maybe": block}, events=40), str(file)]) == 0
    tracks: Trajectories = read_trajectories(file)
    assert 5 < len(np.unique(tracks.event_id)) < 35


def test_showers_of_high_energy_are_followed_few_at_a_time() -> None:
    """An electron of 100 GeV makes some 10 000 deposits: hundreds of them at once would take many GB."""
    block = {"species": [{"pdg": [11], "kinetic_energy_mev": [1e5, 1e5]}]}
    sample = Sample.model_validate({"generator": {"events": 100, "blocks": {"electrons": block}}})
    recipe = Recipe.of(sample, load_geometry(Config().detector.file), seed=1)
    assert max(events for _, events in parts(recipe)) <= 10


def second_part_is_killed(recipe: Recipe, first: int, events: int) -> Transported:
    """`produce_part`, but for the second part: what makes that is ended as by a system short of memory."""
    if first == parts(recipe)[1][0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return produce_part(recipe, first, events)


def test_a_process_that_is_ended_from_outside_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def terminated(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, terminated)  # as in `gradcal`; processes inherit it
    try:
        block = {"vertices": [250, 250], "species": [{"pdg": [13], "kinetic_energy_mev": [1000.0, 1000.0]}]}
        sample = Sample.model_validate({"generator": {"events": 40, "blocks": {"muons": block}}})
        recipe = Recipe.of(sample, load_geometry(Config().detector.file), seed=1)
        monkeypatch.setattr("pipeline.produce.sample.produce_part", second_part_is_killed)
        with pytest.raises(MemoryLimitError, match="processes"):
            list(produce(recipe, 2))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not multiprocessing.active_children()
