"""`gradcal fit`, from segments and hits to the result; interrupted fits go on."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pipeline.calibrate.progress import Progress
from pipeline.cli.fit import _torn
from pipeline.cli.main import run
from pipeline.config.methods import STANDARD_METHODS
from pipeline.config.selection import Select
from pipeline.storage.checkpoint import Checkpoint
from pipeline.storage.detector import detector_path
from pipeline.storage.fit import read_comparisons, read_fit
from pipeline.storage.provenance import read_provenance

from ..conftest import ROOT
from ..tracks import TWO_MUONS

TRUTH = {"birks_ab": 0.83, "electron_lifetime": 1500.0, "transverse_diffusion": 1.1e-5}


@dataclass(frozen=True)
class Sample:
    """Files of segments, of hits at TRUTH, and of the same with noise."""

    segments: Path
    hits: Path
    noisy: Path


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """Two muons, one per event."""
    folder = tmp_path_factory.mktemp("sample")
    files = Sample(folder / "segments.h5", folder / "hits.h5", folder / "noisy.h5")
    muons = {"sample": TWO_MUONS, "seed": 4}
    assert run(["produce", "--config-json", json.dumps(muons), str(files.segments)]) == 0
    values = [f"{name}={value}" for name, value in TRUTH.items()]
    for path, options in ((files.hits, ["--no-noise"]), (files.noisy, ["--noise"])):
        command = ["simulate", "--config-json", "{}", str(files.segments), str(path), "--set", *values, *options]
        assert run(command) == 0
    return files


def command(sample: Sample, out: Path, *options: object, config: dict[str, object] | None = None) -> list[str]:
    """The arguments of a fit; `--segments` and `--hits` among the options replace those of the sample."""
    config = {"methods": {"gauss_newton": {}}, **(config or {})}
    given = ["fit", "--config-json", json.dumps(config), str(out), *map(str, options)]
    if "--segments" not in options:
        given += ["--segments", str(sample.segments)]
    if "--hits" not in options:
        given += ["--hits", str(sample.hits)]
    return given


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """The one sentence of a command that fails before it begins to fit."""
    capsys.readouterr()
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("gradcal fit: ") and said.count("\n") == 1
    assert "fault in this program" not in said
    return said


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_truth_is_found_told_and_written(sample, tmp_path, capsys):
    assert run(command(sample, tmp_path / "fit.h5")) == 0
    said = capsys.readouterr()
    assert names(tmp_path) == ["fit.h5", "fit.json", "fit.timing.json"]
    result = read_fit(tmp_path / "fit.h5")
    assert result.converged and result.method == "gauss_newton" and result.iterations <= 30
    for p in result.parameters:
        assert p.value == pytest.approx(TRUTH.get(p.name, p.value), rel=1e-5)
        assert p.value == pytest.approx(p.target, rel=1e-5)
    assert f"fit.h5: {result.status}\n" in said.err
    told = {line.split()[0]: line.split() for line in said.out.splitlines()}
    assert set(told) == {"parameter", *(p.name for p in result.parameters)}
    assert float(told["birks_ab"][2]) == pytest.approx(0.83, rel=1e-5) and float(told["birks_ab"][3]) == 0.83
    summary = json.loads((tmp_path / "fit.json").read_text())
    assert summary["status"] == result.status and summary["iterations"] == result.iterations
    assert {p["name"]: p["value"] for p in summary["parameters"]} == {p.name: p.value for p in result.parameters}
    assert result.diagnostics["length_cm"] > 50 and result.history["matched"][-1] > 100


def test_data_with_noise_are_fitted_with_their_uncertainty(sample, tmp_path, capsys):
    options = ["--hits", sample.noisy, "--method", "masked_residuals", "--free", "birks_ab,birks_kb,electric_field"]
    assert run(command(sample, tmp_path / "fit.h5", *options)) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["parameter", "initial", "fitted", "+-", "target", "difference", "pull", "unit"]
    result = read_fit(tmp_path / "fit.h5")
    assert result.converged and result.uncertainty.kind == "sandwich" and result.uncertainty.caveats == ()
    summary = json.loads((tmp_path / "fit.json").read_text())
    for p, row, line in zip(result.parameters, summary["parameters"], said[1:], strict=False):
        assert p.uncertainty == row["uncertainty"] > 0
        assert float(line.split()[3]) == pytest.approx(p.uncertainty, rel=0.05)
        assert float(line.split()[-2 if p.unit else -1]) == pytest.approx(
            (p.value - p.target) / p.uncertainty, abs=0.006
        )
    # Two muons hardly tell the two constants of Birks' law apart.
    assert said[-1] == summary["weakest"][0] == result.uncertainty.directions[0]
    assert said[-1].startswith("A_B and k_B are hardly told apart: ")
    assert 0.7 < result.diagnostics["chi2_per_degree_of_freedom"] < 1.3


def test_parameters_on_the_command_line_are_those_fitted(sample, tmp_path):
    """The rest stays at what the configuration fixes; a parameter that it fixes may be freed."""
    fixed = {"electron_lifetime": 1500.0, "transverse_diffusion": 1.1e-5, "birks_ab": 0.8}
    config = {"methods": {"mine": {"free": ["birks_kb", "electric_field"], "fixed": fixed}}}
    options = ["--method", "mine", "--free", "birks_ab, electric_field", "--initial", "birks_ab=0.79"]
    assert run(command(sample, tmp_path / "fit.h5", *options, config=config)) == 0
    result = read_fit(tmp_path / "fit.h5")
    assert result.converged and result.method == "mine"
    found = {p.name: p for p in result.parameters}
    assert {n for n, p in found.items() if p.free} == {"birks_ab", "electric_field"}
    assert (found["birks_ab"].initial, found["electron_lifetime"].value) == (0.79, 1500.0)
    assert found["birks_ab"].value == pytest.approx(0.83, rel=1e-5)


def test_fit_that_does_not_converge_is_an_answer(sample, tmp_path, capsys):
    config = {"methods": {"short": {"max_iterations": 1}}}
    assert run(command(sample, tmp_path / "fit.h5", config=config)) == 0
    assert "Did not converge: 1 iterations were not enough" in capsys.readouterr().err
    assert json.loads((tmp_path / "fit.json").read_text())["converged"] is False


def test_infinite_true_lifetime_is_fitted_without_a_target(sample, tmp_path):
    hits = tmp_path / "hits.h5"
    simulate = ["simulate", "--config-json", "{}", "--no-noise", str(sample.segments), str(hits)]
    simulate += ["--set", "electron_lifetime=inf"]
    assert run(simulate) == 0
    assert run(command(sample, tmp_path / "fit.h5", "--hits", hits)) == 0
    found = {p.name: p for p in read_fit(tmp_path / "fit.h5").parameters}
    assert found["electron_lifetime"].value > 1e9 and found["electron_lifetime"].target is None
    assert found["birks_ab"].target == 0.8


def test_same_bytes_again_and_with_any_number_of_threads(sample, tmp_path):
    """Noise makes many iterations, so that a difference in the last digit would show."""
    config = {"methods": {"m": {"max_iterations": 3, "starts": 2, "uncertainty": {"observed": False}}}}
    runs = {
        "a": ([], config),
        "b": ([], config),
        "c": (["--threads", 1], config),
        "d": (["--threads", 2], config),
        "e": ([], {**config, "simulate": {"threads": 1}}),
    }
    for name, (options, settings) in runs.items():
        fit = command(sample, tmp_path / name / "fit.h5", "--hits", sample.noisy, *options, config=settings)
        assert run(fit) == 0
    for file in ("fit.h5", "fit.json"):
        contents = [(tmp_path / name / file).read_bytes() for name in runs]
        assert all(content == contents[0] for content in contents)


def test_provenance_is_what_was_used(sample, tmp_path):
    config = {"seed": 5, "methods": {"a": {"max_iterations": 2}, "b": {"max_iterations": 3}}}
    assert run(command(sample, tmp_path / "fit.h5", "--method", "b", "--initial", "birks_ab=0.82", config=config)) == 0
    with h5py.File(tmp_path / "fit.h5") as file:
        found = read_provenance(file)
    used = found["config"]
    assert found["stage"] == "fit"
    assert "threads" not in used["simulate"]
    assert used["seed"] == 5 and list(used["method"]) == ["b"]
    assert used["method"]["b"]["max_iterations"] == 3 and used["method"]["b"]["initial"] == {"birks_ab": 0.82}
    files = {"segments": sample.segments, "hits": sample.hits, "detector": detector_path("module0")}
    assert found["inputs"] == {n: hashlib.sha256(Path(p).read_bytes()).hexdigest() for n, p in files.items()}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--free", "birks_abb"], "--free: there is no parameter 'birks_abb'; did you mean 'birks_ab'?"),
        (["--free", " , "], "--free: no parameter is named"),
        (["--free", "birks_ab,birks_ab"], "--free: birks_ab is given twice"),
        (["--initial", "birks_abb=1"], "--initial: there is no parameter 'birks_abb'"),
        (["--initial", "birks_ab=-1"], "--initial: birks_ab = -1  is not physical"),
        (["--initial", "birks_ab=nan"], "birks_ab = nan"),
        (["--initial", "density=1.4"], "density is not fitted, so it has no start value"),
        (["--initial", "electron_lifetime=inf"], "electron_lifetime = inf, but a fit needs finite values"),
        (["--initial", "electric_field=1e-4"], "at 0.0001 kV/cm"),
        (["--method", "gaus_newton"], "--method: there is no method 'gaus_newton'; did you mean 'gauss_newton'?"),
        (["--free", "birks_ab,box_alpha"], "box_alpha has no effect on these data"),
        (["--threads", "0"], "--threads: 0 is less than 1"),
        (["--accuracy", "perfect"], "--accuracy"),
    ],
)
def test_wrong_options_end_in_one_sentence(options, expected, sample, tmp_path, capsys):
    assert " ".join(expected.split()) in refused(capsys, command(sample, tmp_path / "fit.h5", *options))
    assert not [name for name in names(tmp_path) if "checkpoint" not in name]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_without_cuda_ends_in_one_sentence(sample, tmp_path, capsys):
    assert "no CUDA device" in refused(capsys, command(sample, tmp_path / "fit.h5", "--device", "cuda"))
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"simulate": {"memory_limit_mib": 0.5}}, "simulate.memory_limit_mib = 0.5; raise it"),
        ({"methods": {}}, "methods needs 1 or more entries"),
        ({"methods": {"m": {"fair_scal": 3}}}, "did you mean methods.m.fair_scale?"),
        ({"methods": {"m": {"max_iterations": 0}}}, "methods.m.max_iterations must be at least 1, not 0"),
        ({"methods": {"m": {"free": ["birks_ab"], "fixed": {"electron_lifetime": 1e999}}}}, "electron_lifetime = inf"),
        ({"detector": {"recombination": "box"}}, "birks_ab has no effect on these data"),
    ],
)  # fmt: skip
def test_wrong_configurations_end_in_one_sentence(config, expected, sample, tmp_path, capsys):
    assert expected in refused(capsys, command(sample, tmp_path / "fit.h5", config=config))
    assert names(tmp_path) == []


def test_wrong_files_end_in_one_sentence(sample, tmp_path, capsys):
    out = tmp_path / "out" / "fit.h5"

    def said(*options: object) -> str:
        return refused(capsys, command(sample, out, *options))

    assert "hits.h5 is a file of hits; a file of segments is needed" in said("--segments", sample.hits)
    assert "segments.h5 is a file of segments; a file of hits is needed" in said("--hits", sample.segments)
    assert "nowhere.h5 does not exist" in said("--hits", tmp_path / "nowhere.h5")
    assert "nowhere.h5 does not exist" in said("--segments", tmp_path / "nowhere.h5")
    truncated = tmp_path / "truncated.h5"
    truncated.write_bytes(sample.hits.read_bytes()[:4000])
    assert "truncated" in said("--hits", truncated)
    broken = tmp_path / "broken.h5"
    for column, value in (("adc", np.nan), ("t", np.inf)):
        shutil.copy(sample.hits, broken)
        with h5py.File(broken, "r+") as file:
            rows = file["hits"][()]
            rows[column][7] = value
            file["hits"][...] = rows
        assert f"hits.{column} is {value} in row 7" in said("--hits", broken)
    shutil.copy(sample.hits, broken)
    with h5py.File(broken, "r+") as file:
        rows = file["hits"][()]
        rows["event_id"] += 100
        file["hits"][...] = rows
        events = file["events"][()]
        events["event_id"] += 100
        file["events"][...] = events
    assert "no simulated hit has a partner" in said("--hits", broken)
    assert not out.parent.exists() or names(out.parent) == []


def test_a_fit_that_knows_its_segments_has_no_use_for_the_truth(sample, tmp_path, capsys):
    said = refused(capsys, command(sample, tmp_path / "fit.h5", "--truth", sample.segments))
    assert "takes the segments for the true ones" in said


def test_places_that_cannot_be_written_are_refused_before_the_fit(sample, tmp_path, capsys):
    assert "cannot be written" in refused(capsys, command(sample, sample.hits / "fit.h5"))
    assert "is a folder" in refused(capsys, command(sample, tmp_path))
    assert "must end in .h5" in refused(capsys, command(sample, tmp_path / "fit.json"))
    (tmp_path / "fit.json").mkdir()
    assert "fit.json is a folder" in refused(capsys, command(sample, tmp_path / "fit.h5"))
    assert names(tmp_path) == ["fit.json"]


@pytest.mark.parametrize("which", ["segments", "hits"])
def test_inputs_are_not_overwritten(which, sample, capsys):
    path = getattr(sample, which)
    before = path.read_bytes()
    assert "is an input of this command" in refused(capsys, command(sample, path))
    assert path.read_bytes() == before


CONFIG = {"methods": {"m": {"max_iterations": 12, "starts": 2, "uncertainty": {"observed": False}}}}


def interrupted(arguments: list[str], line: str) -> tuple[int, list[str]]:
    """Start a fit and send what Ctrl-C sends once it has said something that starts with `line`."""
    said = []
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        for text in process.stderr:
            said.append(text)
            if text.startswith(line):
                process.send_signal(signal.SIGINT)
                break
        said += process.stderr
    return process.returncode, said


@pytest.fixture(scope="module")
def whole(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of CONFIG without interruption."""
    out = tmp_path_factory.mktemp("whole") / "fit.h5"
    assert run(command(sample, out, "--hits", sample.noisy, config=CONFIG)) == 0
    return out


@pytest.mark.parametrize("line", ["iteration   0", "iteration   3"])
def test_interrupted_fit_goes_on_to_the_same_bytes(line, sample, whole, tmp_path, capsys):
    out = tmp_path / "fit.h5"
    arguments = command(sample, out, "--hits", sample.noisy, config=CONFIG)
    status, said = interrupted(arguments, line)
    assert status == 130
    assert said[-1] == "gradcal fit: interrupted; nothing half-written is left.\n"
    assert not any("Traceback" in text for text in said)
    assert names(tmp_path) == [".fit.h5.checkpoint.json"]

    capsys.readouterr()
    assert run(arguments) == 0
    first = capsys.readouterr().err.splitlines()[0]
    assert "going on after iteration " in first and " of an interrupted fit" in first
    # A part of the work has no time that could be taken for that of the whole.
    assert names(tmp_path) == ["fit.h5", "fit.json"]
    for suffix in (".h5", ".json"):
        assert out.with_suffix(suffix).read_bytes() == whole.with_suffix(suffix).read_bytes()


def stop(monkeypatch: pytest.MonkeyPatch, arguments: list[str], start: int, iteration: int) -> None:
    """Run a fit that is interrupted after an iteration of one of its starts."""
    save = Checkpoint.save

    def save_and_stop(self: Checkpoint, progress: Progress) -> None:
        save(self, progress)
        if (len(progress.finished), progress.state.iteration) == (start, iteration):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", save_and_stop)
        patch.setattr("pipeline.storage.checkpoint.SAVE_EVERY", 0.0)
        assert run(arguments) == 130


def test_interruption_in_a_later_start_goes_on_there(sample, whole, tmp_path, monkeypatch, capsys):
    """The first start is not fitted again, only looked at."""
    out = tmp_path / "fit.h5"
    arguments = command(sample, out, "--hits", sample.noisy, config=CONFIG)
    stop(monkeypatch, arguments, start=1, iteration=2)
    capsys.readouterr()
    assert run(arguments) == 0
    said = capsys.readouterr().err
    assert "going on after iteration 2 of an interrupted fit" in said
    shown = [int(text.split(":")[0].split()[1]) for text in said.splitlines() if text.startswith("iteration")]
    assert shown == list(range(3, shown[-1] + 1)) and shown[-1] <= 12
    assert out.read_bytes() == whole.read_bytes()


def test_checkpoint_of_another_fit_is_ignored(sample, tmp_path, monkeypatch, capsys):
    out, checkpoint = tmp_path / "fit.h5", tmp_path / ".fit.h5.checkpoint.json"
    stop(monkeypatch, command(sample, out, "--hits", sample.noisy, config=CONFIG), start=0, iteration=1)
    kept = checkpoint.read_bytes()
    others = {
        "settings": command(sample, out, "--hits", sample.noisy, config={"methods": {"m": {"max_iterations": 2}}}),
        "inputs": command(sample, out, config=CONFIG),
    }
    for arguments in others.values():
        checkpoint.write_bytes(kept)
        capsys.readouterr()
        assert run(arguments) == 0
        assert "going on" not in capsys.readouterr().err
        assert names(tmp_path) == ["fit.h5", "fit.json", "fit.timing.json"]


def test_damaged_checkpoint_is_ignored(sample, tmp_path, capsys):
    (tmp_path / ".fit.h5.checkpoint.json").write_text('{"key": "abc", "fit"')
    assert run(command(sample, tmp_path / "fit.h5")) == 0
    assert "going on" not in capsys.readouterr().err
    assert names(tmp_path) == ["fit.h5", "fit.json", "fit.timing.json"]


def test_hits_are_compared_at_the_start_and_at_the_end(whole):
    """As the fit itself counted them; only numbers that the readout rounds differ."""
    found, result = read_comparisons(whole), read_fit(whole)
    assert set(found) == {"initial", "fitted"}
    fitted = found["fitted"]
    assert fitted.matched.sum() == result.diagnostics["hits_used"]
    for side, name in ((fitted.in_data, "unmatched_model"), (fitted.in_model, "unmatched_data")):
        assert (~side).sum() == result.diagnostics[name]
    assert ((fitted.reason == 0) == fitted.matched).all()
    with h5py.File(whole) as file:
        assert file["history/matched"][0] > 0
    rms = {name: np.sqrt(np.mean((c.model - c.data)[c.matched] ** 2, axis=0)) for name, c in found.items()}
    assert rms["fitted"][1] < rms["initial"][1], "times at least are better than at the start"


@pytest.mark.parametrize(
    ("method", "cuts", "said"),
    [
        ("unknown_segments", {"max_total_length_cm": 30.0}, "took single tracks (select.max_total_length_cm)"),
        ("unknown_segments", {"max_total_length_cm": 600.0}, None),
        ("unknown_dedx", {"max_total_length_cm": 30.0}, None),  # knows no struck electrons but as tracks
        ("likelihood", {"max_total_length_cm": 30.0}, None),
        ("unknown_segments", None, None),
    ],
)
def test_a_fit_that_expects_struck_electrons_says_where_a_selection_took_them(sample, tmp_path, method, cuts, said):
    truth = sample.segments
    if cuts is not None:
        truth = tmp_path / "selected.h5"
        config = json.dumps({"select": {n: None for n in Select.model_fields if n != "species"} | cuts})
        assert run(["select", "--config-json", config, str(sample.segments), str(truth)]) == 0
    told = _torn(truth, STANDARD_METHODS[method])
    assert (said is None and not told) or (len(told) == 1 and said in told[0])
