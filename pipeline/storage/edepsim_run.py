"""Running edep-sim: its input into a folder of its own, the program or its container, and what it wrote into tables."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from ..config.edep_sim import EdepSim
from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError, ExternalProgramError, FileFormatError
from ..produce.edepsim_input import OUTPUT, SENSITIVE_DETECTOR, edepsim_input, restore_numbers
from ..tables import Primaries
from .atomic import atomic_output, check_output
from .segments import RawSegments, examine_segments

_LOG = "edep-sim.log"

#: Where the folder of the run stands inside a container.
_INSIDE = "/gradcal"

#: Seconds that edep-sim has to end when it is asked to, before it is made to.
_PATIENCE = 10.0

#: What Geant4 says when it leaves a macro because of a command that it does not take.
_INTERRUPTED = "Batch is interrupted"


def produce_with_edepsim(
    primaries: Primaries, geometry: DetectorGeometry, settings: EdepSim, seed: int, output: Path
) -> RawSegments:
    """The deposits of `primaries`, simulated by edep-sim: unchecked, simulation frame, with the numbers of our events.

    `seed` is that of the configuration. The program runs in a temporary folder beside `output`, the file that its
    deposits are meant for, which goes in any case. Where it fails, its log is left as `<output>.edep-sim.log`. Events
    of which nothing reaches the drift volumes have no rows.

    Raises `ConfigError` where the program or the container runtime is missing or `primaries` cannot be simulated, and
    `ExternalProgramError` where it fails or writes nothing that can be used.
    """
    check_output(output)
    files, arguments, events = edepsim_input(primaries, geometry, settings, seed)
    kept = output.with_name(f"{output.name}.edep-sim.log")
    with _folder(output) as folder:
        command = [*program(settings, folder), *arguments]
        for name, text in files.items():
            (folder / name).write_text(text, encoding="ascii")
        try:
            _keep(folder, files, settings)
            _run(command, folder, settings.timeout_s)
            found = _read(folder / OUTPUT, geometry, events)
        except ExternalProgramError as error:
            raise ExternalProgramError(f"{error}{_leave_log(folder / _LOG, kept)}") from error
        finally:
            _keep(folder, [_LOG], settings)
    kept.unlink(missing_ok=True)  # of an earlier run that failed
    return replace(found, segments=restore_numbers(found.segments, primaries))


def program(settings: EdepSim, folder: Path) -> list[str]:
    """The beginning of the command that runs edep-sim in `folder`, directly or in its container.

    Raises `ConfigError` where what is needed is not there.
    """
    if settings.container is None:
        found = shutil.which(settings.executable)
        if found is None:
            raise ConfigError(
                f"sample.edep_sim.executable: there is no program {settings.executable!r} (on PATH); install edep-sim, "
                "give the path of it, or name an image in sample.edep_sim.container (docs/edep-sim.md says how)."
            )
        return [str(Path(found).absolute())]
    runtime = shutil.which(settings.runtime)
    if runtime is None:
        raise ConfigError(
            f"sample.edep_sim.runtime: there is no program {settings.runtime!r} on PATH to run the container "
            f"{settings.container}; install it or choose another runtime (docs/edep-sim.md says how)."
        )
    if set(":,") & set(str(folder)):
        raise ConfigError(f"{folder.parent}: containers cannot be given a folder with : or , in it; choose another.")
    return [runtime, *_container_arguments(settings, folder), settings.executable]


def _container_arguments(settings: EdepSim, folder: Path) -> list[str]:
    image = settings.container or ""
    if settings.runtime in ("apptainer", "singularity"):
        if "://" not in image:  # else it is fetched from where it says
            if not Path(image).exists():
                raise ConfigError(f"sample.edep_sim.container: there is no image {image}; give its path, or build it.")
            image = str(Path(image).absolute())
        # Libraries of this machine's environment must not be found before those of the container.
        return ["exec", "--cleanenv", "--bind", f"{folder}:{_INSIDE}", "--pwd", _INSIDE, image]
    # Files must belong to who runs this; --init hands on the signal that stops the program.
    user = ["--userns", "keep-id"] if settings.runtime == "podman" else ["--user", f"{os.getuid()}:{os.getgid()}"]
    where = ["--volume", f"{folder}:{_INSIDE}", "--workdir", _INSIDE]
    return ["run", "--rm", "--init", "--network", "none", *user, *where, image]


@contextmanager
def _folder(output: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name}.", suffix=".edep-sim", dir=output.absolute().parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: Sequence[str], folder: Path, timeout: float | None) -> None:
    """Run a command in a folder, its output into a log; raises `ExternalProgramError` unless it ends with status 0.

    Interrupted, it does not leave the program behind.
    """
    # PHYSLIST would silently replace the physics list of the configuration.
    environment = {name: value for name, value in os.environ.items() if name != "PHYSLIST"}
    with (folder / _LOG).open("wb") as log:
        process = None
        try:
            with _uninterrupted():
                process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # so that what the program starts can be stopped with it
                )
            status = process.wait(timeout)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ExternalProgramError(f"edep-sim cannot be started: {command[0]}: {reason}.") from error
        except subprocess.TimeoutExpired as error:
            raise ExternalProgramError(
                f"edep-sim was stopped after {timeout:g} s; make the sample smaller, or the time in "
                "sample.edep_sim.timeout_s longer."
            ) from error
        finally:
            if process is not None:
                _stop(process)
    if status:
        how = f"with status {status}" if status > 0 else f"by the signal {signal.Signals(-status).name}"
        raise ExternalProgramError(f"edep-sim ended {how}{_last_words(folder / _LOG)}.")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Signals that would end this process wait until what is done here is done: a program that runs, but that nobody
    holds yet, would be left behind. They reach the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, lambda number, frame: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    if came:
        signal.raise_signal(came[0])


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started: kindly, then by force."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
    # What it started must be gone before its folder goes; a process is not gone at once when it is killed, and where
    # nobody waits for it, it never is.
    with suppress(ProcessLookupError, PermissionError):
        for _ in range(100):
            os.killpg(process.pid, signal.SIGKILL)
            process.poll()
            time.sleep(0.01)
    process.wait()


def _read(path: Path, geometry: DetectorGeometry, events: int) -> RawSegments:
    """What edep-sim wrote, with its own numbers of events; raises `ExternalProgramError` unless it is whole."""
    log = path.with_name(_LOG)
    refused = _refused_command(log)
    if refused is not None:
        raise ExternalProgramError(f"edep-sim does not take a command ({refused}); is it older than version 4?")
    if not path.exists():
        raise ExternalProgramError(f"edep-sim ended well but wrote no file{_last_words(log)}.")
    try:
        found = examine_segments(
            path, drift_axis=geometry.drift_axis, sensitive_detectors=(SENSITIVE_DETECTOR,), event_number="EventId"
        )
    except FileFormatError as error:
        raise ExternalProgramError(_in_its_output(str(error), path)) from error
    if found.faults:
        raise ExternalProgramError(_in_its_output(found.faults[0], path))
    numbers = found.segments.event_id.tolist()
    if not numbers:
        raise ExternalProgramError(
            "edep-sim left no deposit in the drift volumes; do the primary particles reach them?"
        )
    if found.entries != events:
        raise ExternalProgramError(
            f"edep-sim was given {events} vertices and wrote {found.entries} events; if it leaves out events without "
            "deposits, add `/edep/db/set/requireEventsWithHits false` to sample.edep_sim.macro."
        )
    if not 0 <= min(numbers) <= max(numbers) < events:
        raise ExternalProgramError(
            f"edep-sim was given vertices 0 to {events - 1} and wrote events {min(numbers)} to {max(numbers)}."
        )
    return replace(found, notes=tuple(note.replace(f"{path}: ", "edep-sim: ") for note in found.notes))


def _in_its_output(sentence: str, path: Path) -> str:
    """What is wrong with the output, without the advice that a reader of files has for its user."""
    fault = sentence.replace(f"{path}: ", "").replace(str(path), "it").partition(";")[0]
    return f"what edep-sim wrote cannot be used: {fault.rstrip('.')}."


def _keep(folder: Path, names: Mapping[str, str] | Sequence[str], settings: EdepSim) -> None:
    """Copy files of the run to `keep_inputs`, if it is set."""
    if settings.keep_inputs is None:
        return
    for name in names:
        if (folder / name).exists():
            with atomic_output(Path(settings.keep_inputs) / name) as temporary:
                shutil.copyfile(folder / name, temporary)


def _leave_log(log: Path, kept: Path) -> str:
    """Leave the log beside the output, and say so."""
    if not log.exists() or not log.stat().st_size:
        return " It left no log."
    with atomic_output(kept) as temporary:
        shutil.copyfile(log, temporary)
    return f" Its log is {kept}."


def _lines(log: Path) -> list[str]:
    """The last lines of a log that are not empty (of its last 64 KiB)."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 2**16))
        text = stream.read().decode("utf-8", errors="replace")
    return [line for line in (" ".join(part.split()) for part in text.splitlines()) if line]


def _last_words(log: Path) -> str:
    lines = _lines(log)
    return f", its last words: {lines[-1][:160]}" if lines else ""


def _refused_command(log: Path) -> str | None:
    """What Geant4 said of a command before it left the macro; None if it went through."""
    lines = _lines(log)
    for before, line in zip(["", *lines], lines):
        if _INTERRUPTED in line:
            return before.strip("* ")[:160] or "it does not say which"
    return None
