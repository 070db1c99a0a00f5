"""What commands share: the configuration, progress, and assignments on the command line."""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..config.load import config_from_json, config_slice, load_config
from ..config.models import Config
from ..errors import ConfigError
from ..parameters import check_values

if TYPE_CHECKING:
    from ..config.methods import Method
    from ..detector.geometry import DetectorGeometry
    from ..storage.segments import SegmentFile
    from ..tables import Segments

T = TypeVar("T")

#: Seconds between lines of progress where there is no terminal.
LINE_EVERY = 5.0


def add_config_arguments(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add `--config FILE | --config-json TEXT`; where not required, the defaults hold without."""
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument("--config", metavar="FILE", help="configuration file (`gradcal config` prints one)")
    group.add_argument("--config-json", metavar="TEXT", help="configuration, or a part of it, as JSON")


def config_of(args: argparse.Namespace) -> Config:
    """The configuration that the arguments of `add_config_arguments` name."""
    if args.config_json is not None:
        return config_from_json(args.config_json)
    return load_config(args.config)


def config_files(args: argparse.Namespace, config: Config | None = None) -> list[Path]:
    """The configuration file, and with `config` those that it names of the detector: inputs that no output may
    replace.
    """
    files = [] if args.config is None else [Path(args.config)]
    return files if config is None else [*files, *detector_files(config).values()]


def detector_files(config: Config) -> dict[str, Path]:
    """The files that describe the detector, as the record of a result names them."""
    from ..storage.detector import detector_path

    files = {"detector": detector_path(config.detector.file)}
    if config.readout.pixels.file is not None:
        files["pixels"] = Path(config.readout.pixels.file)
    return files


def say(message: str) -> None:
    """Tell the user something: one line on stderr; nobody reading it is no reason to stop."""
    try:
        print(message, file=sys.stderr, flush=True)
    except BrokenPipeError:
        # What is left in the buffer would be tried again at the end and change the exit status.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


@contextmanager
def progress_bar(total: int, label: str) -> Iterator[Callable[[int], None]]:
    """Give a function that counts `n` more of `total` steps.

    On a terminal a bar moves; elsewhere a line is printed at most every `LINE_EVERY` seconds.
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda steps: bar.advance(task, steps)
        return
    done, last = 0, time.monotonic()

    def advance(steps: int) -> None:
        nonlocal done, last
        done += steps
        if time.monotonic() - last >= LINE_EVERY:
            last = time.monotonic()
            say(f"{label}: {done} of {total}")

    yield advance


def progress(work: Sequence[T], label: str) -> Iterator[T]:
    """Go through `work` (`range(n)` counts) and show how far it has got, as `progress_bar` does."""
    with progress_bar(len(work), label) as advance:
        for step in work:
            yield step
            advance(1)


def parse_assignments(assignments: Sequence[str] | None, where: str) -> dict[str, float]:
    """Parameter values from `name=value` texts, checked against the parameter table.

    `where` names the option in errors. Raises `ConfigError`.
    """
    values: dict[str, float] = {}
    for text in assignments or ():
        name, equals, number = (part.strip() for part in text.partition("="))
        if not equals:
            raise ConfigError(f"{where}: {text!r} is not of the form name=value.")
        if name in values:
            raise ConfigError(f"{where}: {name} is given twice; keep one.")
        try:
            values[name] = float(number)
        except ValueError as error:
            raise ConfigError(f"{where}: {name} = {number!r} is not a number.") from error
    return check_values(values, where)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that run the forward model."""
    parser.add_argument(
        "--threads", type=int, metavar="N", help="blocks computed at the same time (instead of simulate.threads)"
    )
    parser.add_argument("--accuracy", choices=("default", "precise"), help="instead of simulate.accuracy")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), help="instead of simulate.device")


def model_config(args: argparse.Namespace) -> Config:
    """The configuration with the options of `add_model_arguments` put in."""
    config = config_of(args)
    options = ("threads", "accuracy", "device", "dtype")
    given = {name: getattr(args, name) for name in options if getattr(args, name, None) is not None}
    if given.get("threads", 1) < 1:
        raise ConfigError(f"--threads: {given['threads']} is less than 1.")
    return config.model_copy(update={"simulate": config.simulate.model_copy(update=given)})


def model_slice(config: Config, *more: str) -> dict[str, Any]:
    """The settings that a result of the forward model depends on, and `more` sections.

    Threads and the limit on memory change how it is computed, not what comes out.
    """
    used = config_slice(
        config,
        *("sample.sensitive_detectors", "sample.event_number", "checks", "detector", "simulate", "readout.pixels"),
        *more,
    )
    for name in ("threads", "memory_limit_mib"):
        del used["simulate"][name]
    return used


def scenario_slice(config: Config, entry: str, *more: str) -> dict[str, Any]:
    """One entry of the configured scenario, whatever the scenario is called, and `more` sections."""
    return {**config_slice(config, *more), **config.scenarios[config.scenario].model_dump(mode="json", include={entry})}


def read_checked(path: Path, config: Config, geometry: DetectorGeometry | None) -> SegmentFile:
    """Segments, read and checked as configured (`geometry` None: format and numbers only); warnings are said."""
    from ..storage.segments import read_segments

    found = read_segments(
        path,
        checks=config.checks,
        geometry=geometry,
        sensitive_detectors=config.sample.sensitive_detectors,
        event_number=config.sample.event_number,
    )
    for warning in found.warnings:
        say(warning)
    return found


def read_with_detector(path: Path, config: Config) -> tuple[Segments, DetectorGeometry]:
    """Segments checked against the configured detector, and the detector."""
    from ..storage.detector import load_geometry

    geometry = load_geometry(config.detector.file)
    return read_checked(path, config, geometry).segments, geometry


@contextmanager
def timed(output: Path, what: str, *, complete: bool = True) -> Iterator[None]:
    """Write wall time and peak memory of the block to `<output stem>.timing.json`: never into a result.

    Work that goes on after an interruption is not `complete`: it has no time, and that of an earlier run is removed.
    """
    from ..storage.atomic import atomic_output

    start = time.monotonic()
    yield
    if not complete:
        output.with_suffix(".timing.json").unlink(missing_ok=True)
        return
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    content = {"what": what, "seconds": round(time.monotonic() - start, 3), "peak_memory_mib": round(peak, 1)}
    with atomic_output(output.with_suffix(".timing.json")) as temporary:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")


@contextmanager
def fit_progress(method: Method) -> Iterator[Callable[[int, float, float], None]]:
    """Show the iterations of a fit: a bar on a terminal, plain lines elsewhere."""
    if sys.stderr.isatty():
        with progress_bar(method.max_iterations * method.starts, "fitting") as advance:
            yield lambda iteration, cost, step: advance(1 if iteration else 0)
        return
    last = -LINE_EVERY

    def line(iteration: int, cost: float, step: float) -> None:
        nonlocal last
        # Where there are many iterations, a line every few seconds is enough.
        if method.max_iterations <= 100 or time.monotonic() - last >= LINE_EVERY:
            last = time.monotonic()
            # Not every optimiser has one, and none before the first.
            told = f", step {step:.2e}" if math.isfinite(step) else ""
            say(f"iteration {iteration:3d}: objective {cost:.6g}{told}")

    yield line
