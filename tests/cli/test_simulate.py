"""`gradcal simulate`, from segments to the file of hits."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pipeline.cli.main import run
from pipeline.parameters import nominal_values
from pipeline.storage.detector import detector_path, load_geometry
from pipeline.storage.hits import read_hits, read_hits_truth
from pipeline.storage.provenance import Provenance, read_provenance
from pipeline.storage.segments import write_segments

from ..tracks import TWO_MUONS, straight_track


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two muons, one per event."""
    path = tmp_path_factory.mktemp("sample") / "segments.h5"
    sample = {"sample": TWO_MUONS, "seed": 1}
    assert run(["produce", "--config-json", json.dumps(sample), str(path)]) == 0
    return path


def simulate(*arguments: object, config: dict[str, object] | None = None) -> int:
    return run(["simulate", "--config-json", json.dumps(config or {}), *map(str, arguments)])


def refused(capsys: pytest.CaptureFixture[str], *arguments: object, config: dict[str, object] | None = None) -> str:
    """The one sentence that a command which must fail says."""
    capsys.readouterr()
    assert simulate(*arguments, config=config) == 2
    said = capsys.readouterr().err
    assert said.startswith("gradcal simulate: ") and said.count("\n") == 1
    assert "fault in this program" not in said
    return said


def test_hits_are_in_the_detector_and_say_what_made_them(segments, tmp_path, capsys):
    out = tmp_path / "hits.h5"
    assert simulate(segments, out, "--no-noise", "--set", "birks_ab=0.83", "electron_lifetime=1500") == 0
    hits, geometry = read_hits(out), load_geometry("module0")
    assert f"{out}: {len(hits)} hits from" in capsys.readouterr().err
    assert len(hits) > 100
    assert set(hits.event_id) == set(hits.event_t0) == {0, 1}
    assert (np.abs(hits.z) <= 30.431 + 0.5).all()
    assert ((hits.z < 0) == (hits.tpc == 0))[np.abs(hits.z) > 1].all()
    assert (hits.charge >= geometry.readout.threshold - 1).all()
    assert read_hits_truth(out) == {**nominal_values(), "birks_ab": 0.83, "electron_lifetime": 1500.0}


def test_set_may_be_given_more_than_once(segments, tmp_path):
    out = tmp_path / "hits.h5"
    assert simulate(segments, out, "--set", "birks_ab=0.83", "--set", "birks_kb=0.05") == 0
    truth = read_hits_truth(out)
    assert (truth["birks_ab"], truth["birks_kb"]) == (0.83, 0.05)


def test_parameters_act_as_they_should(segments, tmp_path):
    """Less recombination gives more charge, a stronger field shorter drifts, a shorter lifetime less charge."""
    settings = {"a": "birks_ab=0.8", "b": "birks_ab=0.86", "c": "electric_field=0.55", "d": "electron_lifetime=500"}
    for name, setting in settings.items():
        assert simulate(segments, tmp_path / name, "--set", setting) == 0
    a, b, c, d = (read_hits(tmp_path / name) for name in "abcd")
    assert b.charge.sum() > 1.05 * a.charge.sum()
    assert c.t.max() < 0.99 * a.t.max()
    assert d.charge.sum() < 0.95 * a.charge.sum()


def test_infinite_lifetime_is_the_limit_of_long_ones(segments, tmp_path):
    for name, lifetime in (("inf", "inf"), ("long", "1e14")):
        assert simulate(segments, tmp_path / name, "--set", f"electron_lifetime={lifetime}") == 0
    infinite, long = read_hits(tmp_path / "inf"), read_hits(tmp_path / "long")
    np.testing.assert_allclose(infinite.charge, long.charge, rtol=1e-6)
    assert read_hits_truth(tmp_path / "inf")["electron_lifetime"] == np.inf


def test_noise_is_switched_by_the_option_else_by_the_configuration(segments, tmp_path):
    on, off = {}, {"readout": {"noise": {"enabled": False}}}
    runs = {
        "plain": (off, []),
        "plain_anyway": (on, ["--no-noise"]),
        "noisy": (on, []),
        "noisy_anyway": (off, ["--noise"]),
    }
    found = {}
    for name, (config, options) in runs.items():
        assert simulate(segments, tmp_path / name, *options, config=config) == 0
        found[name] = read_hits(tmp_path / name)
    np.testing.assert_array_equal(found["plain"].charge, found["plain_anyway"].charge)
    np.testing.assert_array_equal(found["noisy"].charge, found["noisy_anyway"].charge)
    assert len(found["plain"]) != len(found["noisy"]) or (found["plain"].charge != found["noisy"].charge).any()


def test_seed_makes_the_noise(segments, tmp_path):
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        assert simulate(segments, tmp_path / name, "--noise", "--seed", seed) == 0
    one, again, two = ((tmp_path / name).read_bytes() for name in ("one", "again", "two"))
    assert one == again != two
    assert simulate(segments, tmp_path / "configured", "--noise", config={"seed": 2}) == 0
    np.testing.assert_array_equal(read_hits(tmp_path / "configured").charge, read_hits(tmp_path / "two").charge)


def test_size_of_the_noise_is_that_of_the_configuration(segments, tmp_path):
    """Sampling noise alone moves no time; its width is 500 electrons to 3 standard errors."""
    levels = {"readout": {"noise": {"reset_electrons": 0.0, "sampling_electrons": 500.0}}}
    assert simulate(segments, tmp_path / "noisy", "--noise", config=levels) == 0
    assert simulate(segments, tmp_path / "plain", "--no-noise", config=levels) == 0
    noisy, plain = read_hits(tmp_path / "noisy"), read_hits(tmp_path / "plain")
    np.testing.assert_allclose(noisy.t, plain.t, atol=1e-9)
    difference = noisy.charge - plain.charge
    assert np.std(difference) == pytest.approx(500, rel=3 / np.sqrt(2 * len(difference)))


def test_whole_counts_where_the_configuration_asks_for_them(segments, tmp_path):
    assert simulate(segments, tmp_path / "whole", config={"readout": {"integer_adc": True}}) == 0
    assert simulate(segments, tmp_path / "real") == 0
    whole, real = read_hits(tmp_path / "whole"), read_hits(tmp_path / "real")
    np.testing.assert_array_equal(whole.adc, np.round(whole.adc))
    assert np.abs(whole.adc - real.adc).max() <= 0.5 + 1e-4


def test_same_bytes_again_and_with_any_number_of_threads(segments, tmp_path):
    for name, options in (("a", []), ("b", []), ("c", ["--threads", 1]), ("d", ["--threads", 2])):
        assert simulate(segments, tmp_path / name, "--noise", *options) == 0
    assert simulate(segments, tmp_path / "e", "--noise", config={"simulate": {"threads": 1}}) == 0
    contents = [(tmp_path / name).read_bytes() for name in "abcde"]
    assert all(content == contents[0] for content in contents)


def test_provenance_is_what_was_used(segments, tmp_path):
    out = tmp_path / "hits.h5"
    assert simulate(segments, out, "--set", "birks_ab=0.83", "--noise", "--seed", 7, "--accuracy", "precise") == 0
    with h5py.File(out) as file:
        found = read_provenance(file)
    config = found["config"]
    assert found["stage"] == "simulate"
    assert not {"threads", "memory_limit_mib"} & set(config["simulate"]) and config["simulate"]["accuracy"] == "precise"
    assert (config["set"]["birks_ab"], config["noise"], config["seed"]) == (0.83, True, 7)
    assert set(config) == {"sample", "checks", "detector", "readout", "simulate", "set", "noise", "seed"}
    assert found["inputs"] == {
        name: hashlib.sha256(Path(path).read_bytes()).hexdigest()
        for name, path in (("segments", segments), ("detector", detector_path("module0")))
    }


def test_only_the_time_and_memory_stand_beside_the_hits(segments, tmp_path):
    assert simulate(segments, tmp_path / "hits.h5") == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hits.h5", "hits.timing.json"]
    timing = json.loads((tmp_path / "hits.timing.json").read_text())
    assert timing["seconds"] > 0 and timing["peak_memory_mib"] > 10


def test_two_accuracies_agree(segments, tmp_path):
    for accuracy in ("default", "precise"):
        assert simulate(segments, tmp_path / accuracy, "--accuracy", accuracy) == 0
    default, precise = (read_hits(tmp_path / name) for name in ("default", "precise"))
    assert abs(len(default) - len(precise)) <= 2
    assert default.charge.sum() == pytest.approx(precise.charge.sum(), rel=2e-3)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--set", "birks_abb=0.8"], "--set: there is no parameter 'birks_abb'; did you mean 'birks_ab'?"),
        (["--set", "birks_ab"], "--set: 'birks_ab' is not of the form name=value."),
        (["--set", "birks_ab=much"], "--set: birks_ab = 'much' is not a number."),
        (["--set", "birks_ab=nan"], "birks_ab = nan"),
        (["--set", "electric_field=-0.5"], "--set: electric_field = -0.5 kV/cm is not physical"),
        (["--set", "electric_field=inf"], "--set: electric_field = inf kV/cm is not physical"),
        (["--set", "electric_field=1e-4"], "at 0.0001 kV/cm"),
        (["--set", "longitudinal_diffusion=1"], "longitudinal_diffusion = 1 "),
        (["--set", "transverse_diffusion=10"], "transverse_diffusion = 10 "),
        (["--set", "birks_ab=0.8", "--set", "birks_ab=0.9"], "--set: birks_ab is given twice"),
        (["--seed", "-1"], "--seed: -1 is negative"),
        (["--seed", "1.5"], "--seed"),
        (["--threads", "0"], "--threads: 0 is less than 1"),
        (["--accuracy", "perfect"], "--accuracy"),
        (["--device", "tpu"], "--device"),
    ],
)
def test_wrong_options_end_in_one_sentence(options, expected, segments, tmp_path, capsys):
    assert expected in refused(capsys, segments, tmp_path / "hits.h5", *options)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_cuda_ends_in_one_sentence(segments, tmp_path, capsys):
    said = refused(capsys, segments, tmp_path / "hits.h5", "--device", "cuda")
    assert "no CUDA device" in said and "auto or cpu" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"simulate": {"memory_limit_mib": 0.5}}, "simulate.memory_limit_mib = 0.5; raise it"),
        ({"simulate": {"acuracy": "default"}}, "did you mean simulate.accuracy?"),
        ({"detector": {"file": "module1"}}, "module0"),
        ({"readout": {"noise": {"reset_electrons": -1}}}, "readout.noise.reset_electrons must be at least 0"),
    ],
)
def test_wrong_configurations_end_in_one_sentence(config, expected, segments, tmp_path, capsys):
    assert expected in refused(capsys, segments, tmp_path / "hits.h5", config=config)
    assert not list(tmp_path.iterdir())


def test_wrong_files_end_in_one_sentence(segments, tmp_path, capsys):
    out = tmp_path / "out" / "hits.h5"
    hits = tmp_path / "hits.h5"
    assert simulate(segments, hits) == 0
    assert "is a file of hits; a file of segments is needed" in refused(capsys, hits, out)
    assert "nowhere.h5 does not exist" in refused(capsys, tmp_path / "nowhere.h5", out)
    truncated = tmp_path / "truncated.h5"
    truncated.write_bytes(segments.read_bytes()[:3000])
    assert "truncated" in refused(capsys, truncated, out)
    text = tmp_path / "text.h5"
    text.write_text("event_id, dE\n1, 2.0\n")
    assert "text.h5" in refused(capsys, text, out)
    broken = tmp_path / "broken.h5"
    shutil.copy(segments, broken)
    with h5py.File(broken, "r+") as file:
        rows = file["segments"][()]
        rows["dE"][3] = np.nan
        file["segments"][...] = rows
    said = refused(capsys, broken, out)
    assert "dE" in said and "3" in said
    assert not list(out.parent.iterdir())


def test_places_that_cannot_be_written_are_refused_first(segments, tmp_path, capsys):
    assert "cannot be written" in refused(capsys, segments, segments / "hits.h5")
    assert "is a folder" in refused(capsys, segments, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_input_is_not_overwritten(segments, tmp_path, capsys):
    before = segments.read_bytes()
    link = tmp_path / "link.h5"
    link.symlink_to(segments)
    for out in (segments, link):
        assert "is an input of this command" in refused(capsys, segments, out)
    assert segments.read_bytes() == before


def test_segments_without_a_hit_are_an_empty_file(tmp_path, capsys, segments):
    """Charge far below the threshold: nothing is seen, and that is no error."""
    assert simulate(segments, tmp_path / "hits.h5", "--set", "birks_ab=1e-4") == 0
    assert len(read_hits(tmp_path / "hits.h5")) == 0
    assert "0 hits" in capsys.readouterr().err


@pytest.mark.parametrize("field", [0.45, 0.55])
def test_track_across_the_drift_is_read_at_its_depth(field, tmp_path):
    """Charge at z = 20 cm crosses the threshold while it drifts through the last 0.5 cm, whatever the field."""
    path, out = tmp_path / "segments.h5", tmp_path / "hits.h5"
    track = straight_track(start=(-5.0, 1.0, 20.0), direction=(1.0, 0.2, 0.0), segments=10)
    write_segments(path, track, Provenance("test", {}, {}, ""))
    assert simulate(path, out, "--set", f"electric_field={field}") == 0
    hits = read_hits(out)
    inside = (hits.x > -4.5) & (hits.x < 4.3) & (hits.hit == 0) & (hits.charge > 15_000)
    assert inside.sum() >= 10
    assert set(hits.tpc) == {1}
    assert (np.abs(hits.z[inside] - 19.75) < 0.3).all()
