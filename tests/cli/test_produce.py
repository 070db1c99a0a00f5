"""`gradcal produce`, from the configuration to the file."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.cli.main import run
from pipeline.config.models import Checks, Config, Gun, Select
from pipeline.produce.gun import muon_gun
from pipeline.select.cuts import apply_cuts
from pipeline.storage.detector import load_geometry
from pipeline.storage.segments import read_segments

SMALL = json.dumps({"sample": {"generator": {"preset": "muon_1gev", "events": 4}}})


def block(**settings: object) -> str:
    """A configuration with one block of muons."""
    species = [{"pdg": [13], "kinetic_energy_mev": settings.pop("energy", [1000, 1000])}]
    return json.dumps({"sample": {"generator": {"blocks": {"a": {"species": species, **settings}}}}})


def test_file_is_in_the_edep_sim_frame_and_passes_all_checks(tmp_path: Path) -> None:
    """Module 0 drifts along x in edep-sim's frame: x within 30.431, z within 31.039 cm."""
    file = tmp_path / "muons.h5"
    assert run(["produce", "--config-json", SMALL, str(file)]) == 0
    with h5py.File(file) as content:
        rows = content["segments"][:]
    assert 30.0 < max(np.abs(rows["x_start"]).max(), np.abs(rows["x_end"]).max()) <= 30.431 + 1e-9
    assert 30.5 < max(np.abs(rows["z_start"]).max(), np.abs(rows["z_end"]).max()) <= 31.039 + 1e-9
    assert set(rows["event_id"].tolist()) == set(range(4))
    assert set(rows["vertex_id"][np.abs(rows["pdg_id"]) == 13].tolist()) == set(range(10))
    read = read_segments(file, checks=Checks(zero_length="refuse"), geometry=load_geometry("module0"))
    assert read.warnings == ()
    assert len(read.segments) == len(rows)


def test_same_configuration_same_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one.h5", tmp_path / "two.h5"
    for file in (one, two):
        assert run(["produce", "--config-json", SMALL, str(file)]) == 0
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('{"sample": {"file": "real.root"}}', "sample.file: the sample is the file real.root"),
        ('{"sample": {"generator": {"dlp_file": "nowhere.yaml"}}}', "nowhere.yaml does not exist"),
        (block(energy=[9000, 10]), "upside down"),
        (block(energy=[-5, 10]), "kinetic_energy_mev[0] must be above 0"),
        (block(x_cm=[300, 400]), "x_cm [300, 400] reaches out of the detector"),
        (block(vertices=[0, 0]), "vertices [0, 0] leave no particle in any event"),
    ],
)
def test_bad_settings_end_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: str, message: str
) -> None:
    file = tmp_path / "muons.h5"
    assert run(["produce", "--config-json", settings, str(file)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("gradcal produce: ") and said.count("\n") == 1
    assert message in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_default_sample_suffices_after_the_default_cuts(seed: int) -> None:
    """600 cm, the default of select.max_total_length_cm, must be there before that cut."""
    geometry = load_geometry(Config().detector.file)
    sample = muon_gun(Gun(), geometry, np.random.default_rng([seed, 0]))
    selection = apply_cuts(sample, Select(max_total_length_cm=None), geometry, seed, "gun")
    assert selection.cut_flow[-1].length_cm > 600
