"""`gradcal report`, from files to the page."""

import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.main import run
from pipeline.storage.fit import write_fit
from pipeline.storage.provenance import Provenance
from pipeline.storage.sample import sample_writer
from pipeline.storage.segments import write_segments
from pipeline.tables import Segments, Trajectories

from ..report.samples import CUT_FLOW, fit_result, straight_tracks
from ..tracks import stopping_track


def sample_in(folder: Path, targets: int = 2) -> list[str]:
    """Arguments of a report on a sample and fits written to `folder`."""
    select = Provenance("select", {"seed": 77}, {}, "code")
    write_segments(folder / "selected.h5", straight_tracks(), select, cut_flow=CUT_FLOW)
    fit = Provenance("fit", {"seed": 77, "data": {"noise": False}}, {"hits": "abc"}, "code")
    paths = [folder / f"target_{n + 1}" / "gauss_newton" / "fit.h5" for n in range(targets)]
    for n, path in enumerate(paths):
        write_fit(path, fit_result(n), fit)
    arguments = ["report", "--config-json", "{}", "--segments", str(folder / "selected.h5"), str(folder / "page.html")]
    return [*arguments, "--fits", *map(str, paths)]


def test_page_shows_targets_cut_flow_and_provenance(tmp_path: Path) -> None:
    assert run(sample_in(tmp_path)) == 0
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "All 2 fits converged." in html
    assert all(text in html for text in ("target_1", "target_2", "drift_angle", "no electronics noise", "seed 77"))


def test_same_files_elsewhere_give_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("here", "there/deeper"):
        assert run(sample_in(tmp_path / folder)) == 0
    pages = [path.read_bytes() for path in tmp_path.rglob("page.html")]
    assert len(pages) == 2
    assert pages[0] == pages[1]
    assert str(tmp_path).encode() not in pages[0]


def test_a_file_that_no_selection_wrote_is_drawn_too(shared_data, tmp_path: Path) -> None:
    arguments = sample_in(tmp_path)
    arguments[arguments.index("--segments") + 1] = str(shared_data / "edepsim_g4_20ev_old.h5")
    assert run(arguments) == 0
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "carries no record of a selection" in html
    assert str(shared_data.folder) not in html


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a refused command says: one line."""
    capsys.readouterr()
    assert run(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("gradcal report: ")
    assert said.count("\n") == 1
    return said


def test_an_event_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = sample_in(tmp_path)
    arguments[2] = '{"report": {"display_event": 12}}'
    assert "report.display_event: the selected sample has no event 12" in refused(arguments, capsys)
    assert not list(tmp_path.glob("*.html*"))


def test_files_that_are_not_fits_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = sample_in(tmp_path)
    assert "is a file of segments; a file of fit" in refused([*arguments, str(tmp_path / "selected.h5")], capsys)
    assert "nowhere.h5 does not exist" in refused([*arguments, "nowhere.h5"], capsys)
    assert not list(tmp_path.glob("*.html*"))


def test_a_ragged_history_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = sample_in(tmp_path)
    result = fit_result()
    ragged = replace(result, history={**result.history, "birks_ab": np.zeros(2)})
    write_fit(tmp_path / "ragged.h5", ragged, Provenance("fit", {}, {}, "code"))
    assert "unequal lengths" in refused([*arguments, str(tmp_path / "ragged.h5")], capsys)


def test_an_output_that_cannot_be_written_is_refused_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = sample_in(tmp_path)
    arguments[arguments.index(str(tmp_path / "page.html"))] = str(tmp_path)
    assert "is a folder" in refused(arguments, capsys)


def test_links_lead_to_the_files_that_are_there(tmp_path: Path) -> None:
    arguments = sample_in(tmp_path)
    log = tmp_path / "logs/target_1/gauss_newton/fit.log"
    log.parent.mkdir(parents=True)
    log.write_text("it went well")
    assert run(arguments) == 0
    body = (tmp_path / "page.html").read_text(encoding="utf-8").split("<script")[0]
    found = set(re.findall(r'href="([^#"][^"]*)"', body))
    assert all((tmp_path / link).is_file() for link in found)
    assert {"selected.h5", "target_2/gauss_newton/fit.json", "logs/target_1/gauss_newton/fit.log"} <= found
    assert not any("segments.h5" in link for link in found), "there is none"


def test_a_page_elsewhere_does_not_tell_where_the_files_lie(tmp_path: Path) -> None:
    arguments = sample_in(tmp_path / "here")
    page = tmp_path / "a/b/c/d/page.html"
    arguments[arguments.index(str(tmp_path / "here" / "page.html"))] = str(page)
    assert run(arguments) == 0
    assert "href=" not in re.sub(r'href="#\w[^"]*"', "", page.read_text(encoding="utf-8").split("<script")[0])


def test_times_that_are_missing_are_left_out(tmp_path: Path) -> None:
    timing = tmp_path / "target_1/gauss_newton/fit.timing.json"
    timing.parent.mkdir(parents=True)
    timing.write_text('{"what": "fit", "seconds": 12.34, "peak_memory_mib": 432.1}')
    extra = ["--timings", str(timing), str(tmp_path / "nowhere.tsv"), "--versions", '{"torch": "2.13.0"}']
    assert run([*sample_in(tmp_path), *extra]) == 0
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(text in html for text in ("12.34", "432", "2.13.0"))
    assert "nowhere" not in html


def test_versions_that_are_none_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("{", "[1]"):
        assert "--versions" in refused([*sample_in(tmp_path / "x"), "--versions", text], capsys)


def trajectories_of(segments: Segments, kinetic: float) -> Trajectories:
    """One particle for every track, all of the same kinetic energy [MeV] at the start; the rest is zero."""
    traj = np.unique(segments.traj_id)
    whole = dict.fromkeys(("event_id", "vertex_id", "parent_id", "pdg_id", "start_process", "end_process"), 0 * traj)
    real = {f.name: np.zeros(len(traj)) for f in fields(Trajectories) if f.name not in (*whole, "traj_id")}
    points = {"start": np.zeros((len(traj), 3)), "end": np.zeros((len(traj), 3))}
    return Trajectories(**whole, **(real | points | {"kinetic_start": np.full(len(traj), kinetic)}), traj_id=traj)


def test_the_sample_before_the_selection_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = sample_in(tmp_path)
    uncut = tmp_path / "segments.h5"
    whole = Segments.concatenate([stopping_track(2212, 20.0, traj=n) for n in range(7)])
    write_segments(uncut, whole, Provenance("produce", {"seed": 77}, {}, "code"))
    assert run(arguments) == 0
    page = tmp_path / "page.html"
    assert "These are the selected deposits" in page.read_text(encoding="utf-8")
    pages = []
    for _ in range(2):
        assert run([*arguments, "--sample", str(uncut)]) == 0
        pages.append(page.read_bytes())
    assert pages[0] == pages[1]
    html = pages[0].decode()
    assert "These are the selected deposits" not in html
    assert "7</td><td>7</td><td>1.00" in html, "seven protons end inside, and all of them stop"
    assert "energy deposited on the track" in html
    with sample_writer(uncut, Provenance("produce", {"seed": 77}, {}, "code"), "x") as writer:
        writer.add(whole, trajectories_of(whole, kinetic=160.0))
    assert run([*arguments, "--sample", str(uncut)]) == 0
    assert "kinetic energy at the start" in page.read_text(encoding="utf-8")
    assert "nowhere.h5 does not exist" in refused([*arguments, "--sample", "nowhere.h5"], capsys)


def test_a_contaminated_sample_says_so(tmp_path: Path) -> None:
    arguments = sample_in(tmp_path)
    uncut = tmp_path / "contaminated.h5"
    whole = Segments.concatenate([stopping_track(2212, 20.0, traj=n) for n in range(7)])
    true = np.where(whole.traj_id < 2, 211, 2212)
    write_segments(uncut, whole, Provenance("contaminate", {}, {}, "code"), true_pdg_id=true)
    assert run([*arguments, "--sample", str(uncut)]) == 0
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "data contaminated: 2 of 7 tracks are of another species than their label says" in html
    assert 'href="contaminated.h5"' in html
    true = whole.pdg_id
    write_segments(uncut, whole, Provenance("contaminate", {}, {}, "code"), true_pdg_id=true)
    assert run([*arguments, "--sample", str(uncut)]) == 0
    assert "data contaminated" not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_sample_may_be_a_root_file(shared_data, tmp_path: Path) -> None:
    arguments = sample_in(tmp_path)
    assert run([*arguments, "--sample", str(shared_data / "edepsim_g4_20ev.root")]) == 0
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "energy deposited on the track" in html
    assert str(shared_data.folder) not in html


def test_the_sample_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = sample_in(tmp_path)
    page = str(tmp_path / "page.html")
    assert "page.html" in refused([*arguments, "--sample", page], capsys)
