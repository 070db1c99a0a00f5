"""`gradcal reconstruct`, from hits to a file that simulation takes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import pipeline.calibrate.run
from pipeline.cli.main import run
from pipeline.parameters import nominal_values
from pipeline.reconstruct.distance import distance_to_truth
from pipeline.reconstruct.t0 import retimed
from pipeline.storage.fit import read_fit
from pipeline.storage.hits import write_hits
from pipeline.storage.provenance import Provenance, read_provenance
from pipeline.storage.reconstruction import read_assumed, read_reconstruction
from pipeline.tables import Assumed, Segments

from ..reconstruct.hits_of import MODULE0, hits_of, segments_of

EDGE = np.linspace(0, 1, 41)[:, None]
TRACK = segments_of(np.array([10.0, -20.0, 8.0]) + EDGE * np.array([12.0, 6.0, 9.0]))
FAST = {"simulate": {"threads": 1}, "reconstruct": {"curves": {"refinements": 2}}}


@pytest.fixture(scope="module")
def hits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hits") / "hits.h5"
    write_hits(path, hits_of(TRACK, seed=1), Provenance("simulate", {}, {}, "0"), nominal_values())
    return path


def reconstruct(*arguments: object) -> int:
    return run(["reconstruct", "--config-json", json.dumps(FAST), *map(str, arguments)])


def test_a_track_is_written_and_simulation_takes_it(hits, tmp_path, capsys):
    out, again = tmp_path / "reconstructed.h5", tmp_path / "again.h5"
    assert reconstruct(hits, out, "--set", "birks_ab=0.82") == 0
    assert "too few tracks cross the cathode" in capsys.readouterr().err
    found = read_reconstruction(out)
    assert len(found.tracks) == 1 and found.tracks.length[0] == pytest.approx(16.2, abs=0.5)
    assert read_assumed(out) == Assumed({**nominal_values(), "birks_ab": 0.82})
    assert reconstruct(hits, again, "--set", "birks_ab=0.82", "--threads", "2") == 0
    assert out.read_bytes() == again.read_bytes()
    assert run(["simulate", "--config-json", "{}", "--no-noise", str(out), str(tmp_path / "hits.h5")]) == 0


@pytest.mark.parametrize("mode", ["charge", "mip"])
def test_a_fit_with_known_segments_takes_the_dedx_of_the_mode(hits, tmp_path, mode):
    """Charge is that of 2.1 MeV/cm: `A_B dE/dx / (1 + k_B dE/dx / (E rho))` stays, whatever dE/dx is told."""
    segments, fit = tmp_path / "reconstructed.h5", tmp_path / "fit.h5"
    assert reconstruct(hits, segments, "--dedx", mode) == 0
    dedx = read_reconstruction(segments).segments.dEdx
    assert np.median(dedx) == pytest.approx({"charge": 2.1, "mip": 1.72}[mode], rel=0.02)
    arguments = ["--segments", segments, "--hits", hits, fit, "--free", "birks_ab"]
    assert run(["fit", "--config-json", "{}", *map(str, arguments)]) == 0

    def escaping(loss):
        return loss / (1 + 0.0486 / (0.5 * 1.396) * loss)

    (fitted,) = (p for p in read_fit(fit).parameters if p.free)
    expected = 0.8 * escaping(2.1) / escaping(np.median(dedx))
    assert fitted.value == pytest.approx(expected, abs=4 * fitted.uncertainty) and fitted.uncertainty < 0.006


def test_tracks_are_found_again_at_the_values_of_a_fit(hits, tmp_path, capsys):
    """All of them, the field too; what is set by hand goes before, and what is no fit is refused in a sentence."""
    segments, fit, again = (tmp_path / name for name in ("reconstructed.h5", "fit.h5", "again.h5"))
    assert reconstruct(hits, segments) == 0
    method = {"free": ["birks_ab", "transverse_diffusion"], "fixed": {"electric_field": 0.51}}
    config = json.dumps({"methods": {"m": method | {"max_iterations": 5}}})
    assert run(["fit", "--config-json", config, "--segments", str(segments), "--hits", str(hits), str(fit)]) == 0
    fitted = {p.name: p.value for p in read_fit(fit).parameters}
    assert fitted["electric_field"] == 0.51 and fitted["birks_ab"] != nominal_values()["birks_ab"]
    capsys.readouterr()
    assert reconstruct(hits, again, "--at", fit, "--set", "birks_ab=0.82") == 0
    assert "cross the cathode" not in capsys.readouterr().err
    assert read_assumed(again) == Assumed({**nominal_values(), **fitted, "birks_ab": 0.82})
    with h5py.File(again) as file:
        assert read_provenance(file)["inputs"]["fit"] == hashlib.sha256(fit.read_bytes()).hexdigest()
    written = again.read_bytes(), fit.read_bytes()
    for wrong in (segments, tmp_path / "missing.h5"):
        assert reconstruct(hits, again, "--at", wrong) == 2
        said = capsys.readouterr().err
        assert str(wrong) in said and said.count("\n") == 1
    assert reconstruct(hits, fit, "--at", fit) == 2
    assert (again.read_bytes(), fit.read_bytes()) == written


#: Three muons in each of two events, which enter through an anode and leave through the sides or another anode.
ENTERING = Segments.concatenate(
    [
        segments_of(np.array([-12.0 + 9 * k, y, -30.431]) + EDGE * np.array([6.0, 4.0, depth]), event=event, traj=k)
        for event in range(2)
        for k, (y, depth) in enumerate([(-60.0 + 8 * event, 60.862), (-20.0, 35.0 + 3 * event), (15.0, 25.0)])
    ]
)
LATE = {0: 23.0, 1: -14.0}


@pytest.fixture(scope="module")
def untimed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hits whose events began at a time other than the file says."""
    path = tmp_path_factory.mktemp("untimed") / "hits.h5"
    true = hits_of(ENTERING, seed=3)
    late = retimed(true, {event: -offset for event, offset in LATE.items()}, MODULE0)
    write_hits(path, replace(late, event_t0=true.event_t0), Provenance("simulate", {}, {}, "0"), nominal_values())
    return path


def test_times_that_are_not_given_are_found_and_the_fit_takes_them(untimed, tmp_path, capsys):
    out, fit = tmp_path / "reconstructed.h5", tmp_path / "fit.h5"
    config = {**FAST, "reconstruct": {**FAST["reconstruct"], "t0": "found", "velocity": "assumed"}}
    assert run(["reconstruct", "--config-json", json.dumps(config), str(untimed), str(out)]) == 0
    assert "the time of 2 of 2 events is that on which" in capsys.readouterr().err
    found = read_assumed(out).times
    assert {event: offset.value for event, offset in found.items()} == pytest.approx(LATE, abs=1.0)
    made = read_reconstruction(out)
    # 1 us is 1.6 mm; as given, tracks would be off by centimetres.
    assert distance_to_truth(made.segments, ENTERING).rms < 0.17
    for event, offset in found.items():
        assert made.segments.t0[made.segments.event_id == event] == pytest.approx(offset.value)
    arguments = ["--segments", out, "--hits", untimed, fit, "--free", "birks_ab"]
    assert run(["fit", "--config-json", "{}", *map(str, arguments)]) == 0
    result = read_fit(fit)
    assert result.converged and result.parameters[0].value == pytest.approx(0.8, rel=0.02)


def test_a_fit_begins_where_its_segments_were_reconstructed(hits, tmp_path):
    """At other values hits and segments are not in the same place, so that the first steps would lead astray."""
    segments, fit = tmp_path / "reconstructed.h5", tmp_path / "fit.h5"
    assert reconstruct(hits, segments, "--set", "electric_field=0.49", "electron_lifetime=inf") == 0
    arguments = ["--segments", segments, "--hits", hits, fit, "--free", "electric_field,electron_lifetime,birks_ab"]
    assert run(["fit", "--config-json", "{}", *map(str, arguments), "--initial", "birks_ab=0.79"]) == 0
    begun = {p.name: p.initial for p in read_fit(fit).parameters if p.free}
    assert begun == {"electric_field": 0.49, "electron_lifetime": 2200.0, "birks_ab": 0.79}


def test_a_fit_is_told_what_its_tracks_may_be(hits, tmp_path, monkeypatch):
    segments, told = tmp_path / "reconstructed.h5", {}
    assert reconstruct(hits, segments) == 0
    fitted = pipeline.calibrate.run.fit_hits

    def fit_hits(*given, **more):
        told.update(more)
        return fitted(*given, **more)

    monkeypatch.setattr(pipeline.calibrate.run, "fit_hits", fit_hits)
    arguments = ["--segments", segments, "--hits", hits, tmp_path / "fit.h5", "--free", "birks_ab"]
    assert run(["fit", "--config-json", "{}", *map(str, arguments)]) == 0
    wanted = read_reconstruction(segments).tracks
    assert told["tracks"].probability.tolist() == wanted.probability.tolist()
    assert told["tracks"].covariance.tolist() == wanted.covariance.tolist()


def test_perturbed_segments_keep_the_times_that_were_found(untimed, tmp_path):
    out, wrong = tmp_path / "reconstructed.h5", tmp_path / "input.h5"
    config = {**FAST, "reconstruct": {**FAST["reconstruct"], "t0": "found", "velocity": "assumed"}}
    assert run(["reconstruct", "--config-json", json.dumps(config), str(untimed), str(out)]) == 0
    scenario = {"scenarios": {"closure": {"perturb": [{"kind": "smear_dedx", "sigma": 0.1}]}}}
    assert run(["perturb", "--config-json", json.dumps(scenario), str(out), str(wrong)]) == 0
    assert read_assumed(wrong) == read_assumed(out)


def test_times_that_no_tracks_tell_are_refused(hits, tmp_path, capsys):
    config = {"reconstruct": {"t0": "found"}}
    assert run(["reconstruct", "--config-json", json.dumps(config), str(hits), str(tmp_path / "out.h5")]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "in no event do two ends of tracks agree" in said and "reconstruct.t0" in said


def test_what_cannot_be_is_refused_in_one_sentence(hits, tmp_path, capsys):
    out = tmp_path / "out.h5"
    empty = tmp_path / "empty.h5"
    none = hits_of(TRACK)
    none = replace(none, **{name: getattr(none, name)[:2] for name in none.COLUMNS})
    write_hits(empty, none, Provenance("simulate", {}, {}, "0"), {})
    for arguments, sentence in (
        ((tmp_path / "nowhere.h5", out), "nowhere.h5 does not exist"),
        ((hits, hits), "hits.h5"),
        ((hits, out, "--set", "birks_a=1"), "did you mean"),
        ((empty, out), "2 hits make no track of 4 hits inside"),
    ):
        capsys.readouterr()
        assert reconstruct(*arguments) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert sentence in said and "fault in this program" not in said
        assert not out.exists()
