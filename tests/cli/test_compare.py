"""`gradcal compare`: the same is called the same, and every difference is told with its size."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.main import run
from pipeline.storage.fit import write_fit
from pipeline.storage.hits import write_hits
from pipeline.storage.provenance import Provenance
from pipeline.storage.segments import write_segments
from pipeline.tables import FitResult

from ..inspect.samples import TRUTH, good_hits, good_segments
from ..report.samples import fit_result

MADE = Provenance("fit", {"method": {"tolerance": 1e-10}, "seed": 1}, {"hits": "1" * 64}, "a" * 64)
OTHER = Provenance("fit", {"method": {"tolerance": 1e-8}, "seed": 1}, {"hits": "2" * 64}, "b" * 64)


def compare(capsys: pytest.CaptureFixture[str], a: Path, b: Path) -> list[str]:
    """What is said, line by line; the status is 0 whether or not they differ."""
    capsys.readouterr()
    assert run(["compare", str(a), str(b)]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[:2] == [f"A = {a}", f"B = {b}"]
    return lines[2:]


def row(lines: list[str], name: str) -> list[str]:
    """The cells of a line of a table."""
    (found,) = (line.split() for line in lines if line.split()[:1] == [name])
    return found[1:]


def fit_with(uncertainty: float | None = None, **values: float) -> FitResult:
    result = fit_result(uncertainty=uncertainty)
    changed = tuple(replace(p, value=values.get(p.name, p.value)) for p in result.parameters)
    return replace(result, parameters=changed)


@pytest.mark.parametrize("suffix", [".h5", ".json"])
def test_a_fit_is_the_same_as_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str) -> None:
    for name in ("a", "b"):
        write_fit(tmp_path / f"{name}.h5", fit_result(), MADE)
    for other in (".h5", ".json"):
        (line,) = compare(capsys, (tmp_path / "a").with_suffix(suffix), (tmp_path / "b").with_suffix(other))
        assert "the same" in line


def test_what_made_them_differ_is_told_though_the_numbers_agree(tmp_path: Path, capsys) -> None:
    write_fit(tmp_path / "a.h5", fit_result(), MADE)
    write_fit(tmp_path / "b.h5", fit_result(), OTHER)
    lines = compare(capsys, tmp_path / "a.h5", tmp_path / "b.h5")
    assert lines[0] == "fit: the same numbers, made differently."
    assert "  method.tolerance: 1e-10 | 1e-08" in lines
    assert "  hits: 111111111111 | 222222222222" in lines
    assert "  code: aaaaaaaaaaaa | bbbbbbbbbbbb" in lines
    assert not any("seed" in line for line in lines)


def test_parameters_are_told_with_difference_per_cent_and_sigmas(tmp_path: Path, capsys) -> None:
    write_fit(tmp_path / "a.h5", fit_with(0.003, birks_ab=0.8), MADE)
    write_fit(tmp_path / "b.h5", replace(fit_with(0.004, birks_ab=0.82), iterations=9, converged=False), MADE)
    for name, seconds in (("a", 1.5), ("b", 30.0)):
        (tmp_path / f"{name}.timing.json").write_text(json.dumps({"seconds": seconds, "peak_memory_mib": 1.0}))
    lines = compare(capsys, tmp_path / "a.h5", tmp_path / "b.h5")
    assert lines[0] == "fit: they differ."
    # 0.02 over hypot(0.003, 0.004) is four standard deviations.
    assert row(lines, "birks_ab") == [
        "0.8000", "+-", "0.0030", "0.8200", "+-", "0.0040", "+0.02", "+2.5", "+4",
    ]  # fmt: skip
    assert row(lines, "birks_kb")[6:8] == ["+0", "+0"]
    assert "  iterations: 6 | 9" in lines and "  converged: True | False" in lines
    assert "  1.5 | 30" in lines


def test_two_methods_are_compared_setting_by_setting(tmp_path: Path, capsys) -> None:
    for name, tolerance in (("adam", 1e-3), ("gauss_newton", 1e-10)):
        settings = {"method": {name: {"tolerance": tolerance, "starts": 1}}}
        write_fit(tmp_path / f"{name}.h5", fit_result(), replace(MADE, config=settings))
    lines = compare(capsys, tmp_path / "adam.h5", tmp_path / "gauss_newton.h5")
    assert lines[lines.index("settings") + 1 : lines.index("settings") + 4] == [
        "  method.name: adam | gauss_newton",
        "  method.tolerance: 0.001 | 1e-10",
    ]


def test_sigmas_are_left_out_where_none_are_known(tmp_path: Path, capsys) -> None:
    write_fit(tmp_path / "a.h5", fit_with(birks_ab=0.8), MADE)
    write_fit(tmp_path / "b.h5", fit_with(birks_ab=0.82), MADE)
    assert row(compare(capsys, tmp_path / "a.h5", tmp_path / "b.h5"), "birks_ab")[-1] == "-"


def test_hits_are_paired_by_event_pixel_and_number(tmp_path: Path, capsys) -> None:
    hits = good_hits()
    moved = replace(hits, adc=hits.adc + np.where(np.arange(80) == 11, 3.0, 0.0))
    write_hits(tmp_path / "a.h5", hits.take(np.arange(2, 80)), MADE, TRUTH)
    write_hits(tmp_path / "b.h5", moved.take(np.arange(76)), MADE, TRUTH | {"electron_lifetime": 900.0})
    lines = compare(capsys, tmp_path / "a.h5", tmp_path / "b.h5")
    assert lines[0] == "hits: they differ."
    assert "  74 hits in both, 4 only in A, 2 only in B" in lines
    where = f"event 0, tpc {hits.tpc[11]}, pixel ({hits.pixel_x[11]}, {hits.pixel_y[11]}), hit 1"
    # One of 74 hits is off by 3: rms 3 / sqrt(74).
    assert f"  adc: 1 differ, rms 0.349, at most 3 counts ({where})" in lines
    assert "  electron_lifetime: 2200.0 | 900.0" in lines
    assert not any(line.startswith("  t: ") for line in lines)


def test_hits_of_two_detectors_have_nothing_in_common(tmp_path: Path, capsys) -> None:
    """Pixels are told apart by their numbers, also beyond those of module 0."""
    hits = good_hits()
    write_hits(tmp_path / "a.h5", hits, MADE, TRUTH)
    write_hits(tmp_path / "b.h5", replace(hits, pixel_y=hits.pixel_y + 280), MADE, TRUTH)
    assert "  0 hits in both, 80 only in A, 80 only in B" in compare(capsys, tmp_path / "a.h5", tmp_path / "b.h5")


def test_segments_keep_their_partners_when_some_are_dropped(tmp_path: Path, capsys) -> None:
    segments = good_segments()
    write_segments(tmp_path / "a.h5", segments, MADE)
    write_segments(tmp_path / "b.h5", segments.take(np.arange(len(segments)) % 5 > 0), MADE)
    lines = compare(capsys, tmp_path / "a.h5", tmp_path / "b.h5")
    gone = (len(segments) + 4) // 5
    assert f"  {len(segments) - gone:,} segments in both, {gone} only in A, 0 only in B" in lines
    assert "  those in both are the same" in lines


def test_positions_that_differ_are_named_by_the_axes_of_the_file(tmp_path: Path, capsys) -> None:
    segments = good_segments()
    write_segments(tmp_path / "a.h5", segments, MADE)
    along_the_drift = np.array([0, 0, 0.25])  # column 2 of the table, x of the file
    write_segments(tmp_path / "b.h5", segments.replace(start=segments.start + along_the_drift), MADE)
    lines = [line for line in compare(capsys, tmp_path / "a.h5", tmp_path / "b.h5") if " differ, " in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"  x of start: {len(segments):,} differ, rms 0.25, at most 0.25 cm")


def test_the_same_sample_in_two_formats(shared_data, capsys: pytest.CaptureFixture[str]) -> None:
    """ROOT in mm and ns against HDF5 in single precision: nothing but rounding."""
    lines = compare(capsys, shared_data / "edepsim_g4_20ev_new.h5", shared_data / "edepsim_g4_20ev.root")
    assert "  15,200 segments in both, 0 only in A, 0 only in B" in lines
    assert not any(" of start:" in line or "pdg_id" in line for line in lines)
    sizes = [float(line.split("at most ")[1].split()[0]) for line in lines if "at most" in line]
    assert len(sizes) == 3 and max(sizes) < 2e-3


def test_configurations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text("seed: 1\n")
    (tmp_path / "b.yaml").write_text("seed: 3\n# a remark\n")
    (tmp_path / "c.yaml").write_text("{}\n")
    assert "  seed: 1 | 3" in compare(capsys, tmp_path / "a.yaml", tmp_path / "b.yaml")
    assert compare(capsys, tmp_path / "a.yaml", tmp_path / "c.yaml") == [
        "configuration: the same in everything that is compared."
    ]


def test_folders_match_fits_by_target_and_method(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for side in "ab":
        for target in ("target_1", "target_2"):
            folder = tmp_path / side / target / "gauss_newton"
            folder.mkdir(parents=True)
            write_fit(folder / "fit.h5", fit_result(), MADE)
    assert compare(capsys, tmp_path / "a", tmp_path / "b") == ["results: the same: 2 fits."]
    write_fit(tmp_path / "b/target_2/gauss_newton/fit.h5", fit_with(birks_ab=0.83), MADE)
    shutil.copytree(tmp_path / "a/target_1", tmp_path / "a/target_3")
    lines = compare(capsys, tmp_path / "a", tmp_path / "b")
    assert lines[0] == "results: 1 of 2 fits in both are the same."
    assert "target_2/gauss_newton: they differ" in lines
    assert "  target_3/gauss_newton only in A" in lines


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ("fit.h5", "nowhere.h5", "does not exist"),
        ("fit.h5", "hits.h5", "compare two of a kind"),
        ("fit.h5", "empty", "compare two"),
        ("empty", "empty", "holds no fit.h5"),
        ("text.csv", "text.csv", "neither ROOT"),
        ("fit.h5", "cut.h5", "not a whole HDF5 file"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, capsys, a: str, b: str, words: str) -> None:
    write_fit(tmp_path / "fit.h5", fit_result(), MADE)
    write_hits(tmp_path / "hits.h5", good_hits(), MADE, TRUTH)
    (tmp_path / "cut.h5").write_bytes((tmp_path / "fit.h5").read_bytes()[:3000])
    (tmp_path / "text.csv").write_text("a,b\n")
    (tmp_path / "empty").mkdir()
    assert run(["compare", str(tmp_path / a), str(tmp_path / b)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("gradcal compare: ") and said.err.count("\n") == 1
    assert words in said.err or (b == "empty" and "is a folder" in said.err)
