"""Running edep-sim, by a stand-in that checks what it is given: what comes back, and what is said when nothing does."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.checks import check_segments
from pipeline.config.edep_sim import EdepSim
from pipeline.config.models import Checks
from pipeline.errors import ConfigError, ExternalProgramError
from pipeline.storage import edepsim_run
from pipeline.storage.detector import load_geometry
from pipeline.storage.edepsim import read_edepsim
from pipeline.storage.edepsim_run import produce_with_edepsim, program
from pipeline.tables import Primaries
from tests.conftest import ROOT

GEOMETRY = load_geometry("module0")
LIGHT = 29979.2458  # cm/us


def unit(*vectors):
    rows = np.array(vectors, dtype=float)
    return rows / np.linalg.norm(rows, axis=1)[:, None]


#: Event 3 has two vertices, the first of two particles; that of event 8 crosses the cathode; event 9 misses the drift
#: volumes; event 11 comes from outside the cryostat. Simulation frame: the drift along z.
PRIMARIES = Primaries(
    event_id=np.array([3, 3, 3, 8, 9, 11]),
    vertex_id=np.array([0, 0, 1, 0, 0, 0]),
    pdg_id=np.array([13, 2212, -211, 22, 13, 11]),
    position=np.array([[1.0, 2, 3], [1, 2, 3], [-9, -40, -17], [5, 5, -20], [200, 0, 0], [0, 120, 10]]),
    direction=unit([1, 2, 0.5], [0, 0, 1], [0, -1, 0.1], [0.1, 0, 1], [1, 0, 0], [0, -1, 0]),
    kinetic_energy=np.array([1000.0, 1e-3, 250, 5, 40, 30]),
    time=np.array([0.25, 0.25, 0, 0, 0, -1.5]),
)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `edep-sim` on PATH, and a folder to write in."""
    (tmp_path / "bin").mkdir()
    file = tmp_path / "bin" / "edep-sim"
    file.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.storage.edepsim_stand_in import main\nmain()\n"
    )
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{file.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PHYSLIST", "FTFP_BERT")
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "deposits of muons.h5"


def test_deposits_are_those_of_the_primaries_with_their_numbers_places_and_times(stand_in: Path) -> None:
    raw = produce_with_edepsim(PRIMARIES, GEOMETRY, EdepSim(), 1, stand_in)
    segments = raw.segments
    assert raw.entries == 5 and not raw.faults
    assert list(stand_in.parent.iterdir()) == []  # nothing is left behind
    numbers = np.unique(np.stack([segments.event_id, segments.vertex_id, segments.traj_id, segments.pdg_id], 1), axis=0)
    # Tracks are counted through the vertices of an event; event 9 left nothing.
    assert numbers.tolist() == [[3, 0, 0, 13], [3, 0, 1, 2212], [3, 1, 2, -211], [8, 0, 0, 22], [11, 0, 0, 11]]
    assert segments.segment_id.tolist() == list(range(len(segments)))
    started_inside = {(3, 0): 0, (3, 1): 1, (3, 2): 2, (8, 0): 3}
    for (event, traj), row in started_inside.items():
        track = segments.take((segments.event_id == event) & (segments.traj_id == traj))
        np.testing.assert_allclose(track.start[0], PRIMARIES.position[row], atol=1e-9)
        way = track.end[-1] - track.start[0]
        np.testing.assert_allclose(way / np.linalg.norm(way), PRIMARIES.direction[row], atol=1e-9)
        assert track.t0_start[0] == pytest.approx(PRIMARIES.time[row], abs=1e-9)
        duration = track.t0_end[-1] - track.t0_start[0]
        assert duration == pytest.approx(np.linalg.norm(way) / LIGHT, rel=1e-6)
    # The electron that falls from 120 cm enters at the top of the pixel plane, 80 cm of flight later.
    fallen = segments.take(segments.event_id == 11)
    np.testing.assert_allclose(fallen.start[0], [0, 40.2154, 10], atol=1e-9)
    assert fallen.t0_start[0] == pytest.approx(-1.5 + (120 - 40.2154) / LIGHT, abs=1e-9)
    assert fallen.length.sum() == pytest.approx(40.2154 + 83.8626, rel=1e-9)
    # Nothing in the cathode, and all of it passes the checks of every command without a word.
    crossing = segments.take(segments.event_id == 8)
    assert (np.abs(np.stack([crossing.start, crossing.end])[:, :, 2]) > 0.15875 - 1e-9).all()
    assert check_segments(segments, Checks(), GEOMETRY, "here").warnings == ()


def test_equal_work_gives_equal_deposits_and_inputs(stand_in: Path, tmp_path: Path) -> None:
    runs = []
    for name in ("one", "two"):
        settings = EdepSim(keep_inputs=str(tmp_path / name))
        found = produce_with_edepsim(PRIMARIES, GEOMETRY, settings, 7, stand_in).segments
        files = ("geometry.gdml", "primaries.hepevt", "run.mac")
        assert sorted(f.name for f in (tmp_path / name).iterdir()) == sorted((*files, "edep-sim.log"))
        runs.append((found, [(tmp_path / name / f).read_bytes() for f in files]))
        assert str(tmp_path).encode() not in b"".join(runs[-1][1])  # no path of this machine
    assert runs[0][1] == runs[1][1]
    for column in runs[0][0].__dataclass_fields__:
        np.testing.assert_array_equal(getattr(runs[0][0], column), getattr(runs[1][0], column))


def test_geant4_events_come_through_as_they_are(stand_in, shared_data, monkeypatch) -> None:
    file = shared_data / "edepsim_g4_20ev.root"
    monkeypatch.setenv("STAND_IN", f"copy {file}")
    rows = np.arange(20)
    primaries = Primaries(
        rows + 5, 0 * rows, 0 * rows + 13, np.zeros((20, 3)), unit(*[[0, 0, 1]] * 20), 100.0 + rows, 0.0 * rows
    )
    segments = produce_with_edepsim(primaries, GEOMETRY, EdepSim(), 1, stand_in).segments
    direct, _ = read_edepsim(file)
    np.testing.assert_array_equal(segments.event_id, direct.event_id + 5)
    np.testing.assert_array_equal(segments.traj_id, direct.traj_id)
    np.testing.assert_array_equal(segments.start, direct.start[:, ::-1])
    np.testing.assert_array_equal(segments.dE, direct.dE)


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("fail", "edep-sim ended with status 3, its last words: .*G4Exception: no data files"),
        ("crash", r"edep-sim ended by the signal SIGKILL\. It left no log"),
        ("silent", "edep-sim ended well but wrote no file"),
        ("truncated", r"what edep-sim wrote cannot be used: it is truncated \(\d+ of \d+ bytes\)\."),
        ("empty", "what edep-sim wrote cannot be used: no event holds an energy deposit"),
        ("fewer", "edep-sim was given 5 vertices and wrote 4 events; .*requireEventsWithHits false"),
        ("renumbered", "was given vertices 0 to 4 and wrote events 100 to 104"),
        ("repeated", "what edep-sim wrote cannot be used: EventId 0 stands for 5 events"),
    ],
)
def test_failures_end_in_one_sentence_and_leave_only_the_log(stand_in, monkeypatch, mode, said) -> None:
    monkeypatch.setenv("STAND_IN", mode)
    with pytest.raises(ExternalProgramError, match=said) as caught:
        produce_with_edepsim(PRIMARIES, GEOMETRY, EdepSim(), 1, stand_in)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".")
    left = [file.name for file in stand_in.parent.iterdir()]
    log = f"{stand_in.name}.edep-sim.log"
    assert left == ([log] if "Its log is" in sentence else [])


def test_the_log_of_a_failure_stays_until_a_run_succeeds(stand_in, monkeypatch) -> None:
    monkeypatch.setenv("STAND_IN", "fail")
    with pytest.raises(ExternalProgramError, match="Its log is") as caught:
        produce_with_edepsim(PRIMARIES, GEOMETRY, EdepSim(), 1, stand_in)
    log = Path(str(caught.value).partition("Its log is ")[2].removesuffix("."))
    assert "G4Exception: no data files" in log.read_text()
    monkeypatch.delenv("STAND_IN")
    produce_with_edepsim(PRIMARIES, GEOMETRY, EdepSim(), 1, stand_in)
    assert list(stand_in.parent.iterdir()) == []


def test_a_command_that_the_program_does_not_take_is_named(stand_in: Path) -> None:
    settings = EdepSim(macro=("/edep/db/set/lengthThreshold 0 mm", "/edep/db/set/lengthTreshold 0 mm"))
    with pytest.raises(ExternalProgramError, match="COMMAND NOT FOUND </edep/db/set/lengthTreshold 0 mm>"):
        produce_with_edepsim(PRIMARIES, GEOMETRY, settings, 1, stand_in)


def alive(pid: str) -> bool:
    """Whether a process runs: one that ended but was not yet waited for is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def end(pids: Path) -> bool:
    """Whether all processes end that a file names: on a busy machine one that was killed takes its time to."""
    deadline = time.monotonic() + 20
    while any(map(alive, pids.read_text().split())):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def hang(stand_in: Path, pids: Path, first: str) -> None:
    """Replace the program by one that hangs, like a child of its own, and writes both process numbers to `pids`."""
    program = stand_in.parents[1] / "bin" / "edep-sim"
    program.write_text(
        f"#!/bin/sh\n{first}\nsleep 120 &\necho $$ $! > '{pids}.new'\nmv '{pids}.new' '{pids}'\nwait\nwait\n"
    )


@pytest.mark.parametrize("first", ["", "trap '' TERM"], ids=["obeys", "ignores SIGTERM"])
def test_a_program_that_hangs_is_stopped_in_time(stand_in, tmp_path, monkeypatch, first) -> None:
    hang(stand_in, tmp_path / "pids", first)
    monkeypatch.setattr(edepsim_run, "_PATIENCE", 0.5)
    begin = time.monotonic()
    with pytest.raises(ExternalProgramError, match=r"stopped after 3 s; .* sample\.edep_sim\.timeout_s"):
        produce_with_edepsim(PRIMARIES, GEOMETRY, EdepSim(timeout_s=3), 1, stand_in)
    assert time.monotonic() - begin < 30
    assert end(tmp_path / "pids")
    assert list(stand_in.parent.iterdir()) == []


def test_an_interrupt_while_the_program_is_started_does_not_leave_it_behind(stand_in, tmp_path, monkeypatch) -> None:
    pids = tmp_path / "pids"
    hang(stand_in, pids, "")

    class Interrupted(subprocess.Popen):
        """Of which the program runs before anybody has it."""

        def __init__(self, *given, **more) -> None:
            super().__init__(*given, **more)
            while not pids.exists():
                time.sleep(0.01)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(edepsim_run.subprocess, "Popen", Interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        produce_with_edepsim(PRIMARIES, GEOMETRY, EdepSim(), 1, stand_in)
    assert end(pids) and list(stand_in.parent.iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is before


INTERRUPTED = """
import signal, sys
from pathlib import Path
from tests.storage.test_edepsim_run import GEOMETRY, PRIMARIES
from pipeline.config.edep_sim import EdepSim
from pipeline.storage.edepsim_run import produce_with_edepsim
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # as gradcal does
produce_with_edepsim(PRIMARIES, GEOMETRY, EdepSim(), 1, Path(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_neither_the_program_nor_files(stand_in, tmp_path, number) -> None:
    pids = tmp_path / "pids"
    hang(stand_in, pids, "")
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, stand_in], cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not pids.exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(20) != 0
    assert end(pids)
    assert list(stand_in.parent.iterdir()) == []


def test_without_the_program_one_sentence_says_what_is_missing(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    output = tmp_path / "out.h5"
    for settings, said in (
        (EdepSim(), r"sample\.edep_sim\.executable: there is no program 'edep-sim'"),
        (EdepSim(executable=str(tmp_path)), r"sample\.edep_sim\.executable"),
        (EdepSim(container="image.sif"), r"sample\.edep_sim\.runtime: there is no program 'apptainer'"),
    ):
        with pytest.raises(ConfigError, match=said):
            produce_with_edepsim(PRIMARIES, GEOMETRY, settings, 1, output)
    assert list(tmp_path.iterdir()) == []


CONTAINERS = {
    "apptainer": """
at = arguments.index("--bind")
folder, inside = arguments[at + 1].split(":")
assert arguments[:2] == ["exec", "--cleanenv"] and arguments[arguments.index("--pwd") + 1] == inside
""",
    "docker": """
at = arguments.index("--volume")
folder, inside = arguments[at + 1].split(":")
assert arguments[:3] == ["run", "--rm", "--init"] and arguments[arguments.index("--workdir") + 1] == inside
assert arguments[arguments.index("--network") + 1] == "none"
""",
}


@pytest.mark.parametrize(("runtime", "check"), CONTAINERS.items())
def test_the_container_gets_the_folder_and_runs_the_program_in_it(stand_in, tmp_path, runtime, check) -> None:
    """A runtime that does what the real ones do, without a container: change into the folder and run the rest."""
    image = tmp_path / "image.sif"
    image.touch()
    file = tmp_path / "bin" / runtime
    file.write_text(
        f"#!{sys.executable}\nimport os, sys\narguments = sys.argv[1:]\n{check}\n"
        f"command = arguments[arguments.index({str(image)!r}) + 1 :]\n"
        "assert command[0] == 'edep-sim'\nos.chdir(folder)\nos.execvp(command[0], command)\n"
    )
    file.chmod(0o700)
    settings = EdepSim(container=str(image), runtime=runtime)
    assert len(produce_with_edepsim(PRIMARIES, GEOMETRY, settings, 1, stand_in).segments) > 100


def test_folders_and_images_that_a_container_cannot_take_are_refused(stand_in, tmp_path) -> None:
    (tmp_path / "bin" / "apptainer").symlink_to(tmp_path / "bin" / "edep-sim")
    with pytest.raises(ConfigError, match="folder with : or , in it"):
        program(EdepSim(container="image.sif"), tmp_path / "a:b")
    with pytest.raises(ConfigError, match=r"sample\.edep_sim\.container: there is no image nowhere\.sif"):
        program(EdepSim(container="nowhere.sif"), tmp_path)
    assert program(EdepSim(container="docker://edep-sim"), tmp_path)[-2:] == ["docker://edep-sim", "edep-sim"]
