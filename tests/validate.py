"""Slow evidence: `make validate` prints how accurate, how fast and how reproducible the calibration is, with the
limits beside.

Each table is made by the commands that users run, on the shared data (GRADCAL_DATA); it ends with exit status 1 if a
limit is missed. `python -m tests.validate reference closure` makes only those tables; a table that has sizes takes
others by `python -m tests.validate pulls:targets=2,draws=5`.
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import h5py
import numpy as np

from pipeline.cli.main import run
from pipeline.parameters import CALIBRATED
from pipeline.storage.hits import read_hits
from pipeline.tables import Hits
from tests.conftest import data_folder
from tests.simulate.deposits import model, random_deposits
from tests.simulate.test_gradients import check_every_parameter
from tests.validate_pulls import pulls_table, s1_table, score_table
from tests.validate_reconstruction import reconstruction_table
from tests.validate_transport import all_tables

FAILED: list[str] = []

#: Names of the parameters in the table of published fits.
PUBLISHED = ("Ab", "kb", "eField", "lifetime", "long_diff", "tran_diff")

Key = tuple[int, int, int, int, int]


def limit(what: str, value: float, most: float) -> str:
    """The value with its limit; remembers a miss."""
    if not value <= most:
        FAILED.append(f"{what}: {value:.3g} is more than {most:.3g}")
    return f"{value:.4g} (<= {most:g})"


def gradcal(*arguments: object) -> None:
    """Run a command as a user would; its messages are shown only if it fails."""
    messages = io.StringIO()
    with redirect_stderr(messages):
        status = run([str(a) for a in arguments])
    if status:
        raise SystemExit(f"gradcal {' '.join(map(str, arguments))}: {messages.getvalue()}")


def quietly(*arguments: object) -> None:
    """As `gradcal`, without what the command prints."""
    with redirect_stdout(io.StringIO()):
        gradcal(*arguments)


def by_key(hits: Hits) -> dict[Key, int]:
    """Row of each hit by (event, tpc, pixel x, pixel y, number)."""
    columns = (hits.event_id, hits.tpc, hits.pixel_x, hits.pixel_y, hits.hit)
    return {key: row for row, key in enumerate(zip(*(c.tolist() for c in columns), strict=True))}


def reference(data: Path, work: Path) -> None:
    """Hits of 45 real segments against an independent converged integral, at three parameter points."""
    file = data / "reference_hits.h5"
    print(
        "accuracy  point  hits  appear/vanish   ADC rms            ADC max          time within 0.02 us  time max [us]"
    )
    for accuracy, rms, largest in (("default", 0.06, 0.5), ("precise", 0.015, 0.1)):
        for point in range(3):
            with h5py.File(file) as content:
                table = content[f"hits_{point}"][:]
                values = [f"{n}={float(content[f'hits_{point}'].attrs[n])!r}" for n in CALIBRATED]
            out = work / f"reference_{accuracy}_{point}.h5"
            gradcal(
                "simulate", "--no-noise", "--config-json", "{}", "--accuracy", accuracy, file, out, "--set", *values
            )
            ours = read_hits(out)
            rows = by_key(ours)
            names = ("event_id", "tpc", "pixel_x", "pixel_y", "hit")
            theirs = {tuple(int(row[n]) for n in names): k for k, row in enumerate(table)}
            common = sorted(rows.keys() & theirs.keys())
            i, j = [rows[k] for k in common], [theirs[k] for k in common]
            adc, late = ours.adc[i] - table["adc"][j], np.abs(ours.t[i] - table["t"][j])
            where = f"{accuracy} accuracy at point {point}"
            print(
                f"{accuracy:8}  {point:5}  {len(common):4}  "
                f"{limit(f'hits that differ, {where}', len(rows.keys() ^ theirs.keys()), 2):14}  "
                f"{limit(f'ADC rms, {where}', float(np.sqrt(np.mean(adc**2))), rms):17}  "
                f"{limit(f'ADC maximum, {where}', float(np.abs(adc).max()), largest):15}  "
                f"{np.mean(late <= 0.02):19.1%}  {late.max():13.4f}"
            )
            limit(f"share of times off by more than 0.02 us, {where}", float(np.mean(late > 0.02)), 0.05)


def gradients(data: Path, work: Path) -> None:
    """Exact derivatives against central differences in float64, 200 random segments."""
    print(
        "model  parameter                  charge     time left out   (relative error, limit 1e-5; left out, limit 1 %)"
    )
    for recombination in ("birks", "box"):
        for line in check_every_parameter(model(random_deposits(11, 200), recombination=recombination), recombination):
            print(line)


def speed(data: Path, work: Path) -> None:
    """Time and memory at default accuracy, float32, mixed sample with the paper's cuts, and 20,000 cm in one run."""
    sample = data / "edepsim_mixed_100ev.h5"
    everything = {
        "max_abs_cos_drift": None,
        "track_anode_margin_cm": None,
        "min_track_length_cm": None,
        "max_anode_distance_cm": None,
        "max_total_length_cm": 20_000,
    }
    for name, select in (("the paper's cuts", {"max_total_length_cm": None}), ("no cuts but the length", everything)):
        config = json.dumps({"select": select})
        selected, numbers = work / "speed.h5", work / "speed.json"
        quietly("select", "--config-json", config, sample, selected)
        print(f"{name}:")
        gradcal(
            "study", "benchmark", "--config-json", config, "--dtype", "float32", "--segments", selected,
            "--output", numbers,
        )  # fmt: skip
        result = json.loads(numbers.read_text())
        whole, first = result["whole"], result["batches"][0]
        limit(f"peak memory [MiB], {name}", whole["peak_memory_mib"], 1024)
        growth = (whole["peak_memory_mib"] - first["peak_memory_mib"]) / (whole["length_cm"] / 1000)
        limit(f"growth of memory per 10 m of track [MiB], {name}", growth, 25)
        if select is everything:
            limit("length short of 19,000 cm", 19_000 - whole["length_cm"], 0)
        else:
            for row in result["batches"]:
                where = f"{row['length_cm']:.0f} cm [ms/cm]"
                ratio = row["likelihood"] / row["residuals"]
                limit(f"cost of the likelihood over that of residuals, {row['length_cm']:.0f} cm", ratio, 3)
                for what, most in (("forward", 0.5), ("forward_backward", 1.1), ("jacobian", 4.0)):
                    limit(f"{what} at {where}", row[what], most)


def closure(data: Path, work: Path) -> None:
    """Noiseless closure from the nominal point at the published targets, in float64."""
    targets: dict[tuple[str, int, int], dict[str, float]] = {}
    with (data / "published_fits.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            key = (row["family"], int(row["target_seed"]), int(row["data_seed"]))
            targets.setdefault(key, {})[CALIBRATED[PUBLISHED.index(row["param"])]] = float(row["target"])
    files = {"muon_1GeV": ("g4_muon_1gev_100ev.h5", 10), "mu_pi_p_mom_range": ("edepsim_mixed_100ev.h5", 5)}
    print(
        "sample             target  length [cm]  hits  largest relative error  iterations  seconds     condition number"
    )
    for family, (file, count) in files.items():
        noiseless = {"readout": {"noise": {"enabled": False}}, "methods": {"gauss_newton": {}}}
        config = json.dumps({"select": {"max_total_length_cm": 650}, **noiseless})
        selected = work / f"{family}.h5"
        quietly("select", "--config-json", config, data / file, selected)
        for (name, seed, data_seed), values in sorted(targets.items()):
            if name != family:
                continue
            count -= 1
            hits, out = work / f"{family}_{seed}.hits.h5", work / f"{family}_{seed}.h5"
            settings = [f"{n}={v!r}" for n, v in values.items()]
            gradcal("simulate", "--config-json", config, selected, hits, "--set", *settings)
            start = time.monotonic()
            quietly("fit", "--config-json", config, "--segments", selected, "--hits", hits, out)
            seconds = time.monotonic() - start
            result = json.loads(out.with_suffix(".json").read_text())
            error = max(abs(p["value"] / p["target"] - 1) for p in result["parameters"])
            with h5py.File(out) as content:
                more = dict(content["diagnostics"].attrs)
            where = f"{family} target {seed}"
            print(
                f"{family:18} {seed:3}/{data_seed:<2}  {more['length_cm']:11.1f}  {more['hits_used']:4.0f}  "
                f"{limit(f'error, {where}', error, 1e-5):22}  "
                f"{limit(f'iterations, {where}', result['iterations'], 30):10}  "
                f"{limit(f'seconds, {where}', seconds, 90):10}  {more['condition_number']:16.3g}"
            )
            limit(f"not converged, {where}", 1 - result["converged"], 0)
            limit(f"length short of 500 cm, {where}", 500 - more["length_cm"], 0)
        limit(f"targets of {family} that were not there", abs(count), 0)


def reproducible(data: Path, work: Path) -> None:
    """The same work twice, and with one and with two threads: identical bytes."""
    config = json.dumps({"select": {"max_total_length_cm": 400}, "readout": {"noise": {"enabled": True}}})
    selected = work / "same.h5"
    quietly("select", "--config-json", config, data / "edepsim_mixed_100ev.h5", selected)
    made: list[list[bytes]] = []
    for number, threads in enumerate((2, 2, 1)):
        folder = work / f"same_{number}"
        folder.mkdir()
        # The same names, since the hash of an input counts, not its name.
        hits, out = folder / "hits.h5", folder / "fit.h5"
        gradcal("simulate", "--config-json", config, "--threads", threads, selected, hits, "--set", "birks_ab=0.83")
        quietly("fit", "--config-json", config, "--threads", threads, "--segments", selected, "--hits", hits, out)
        made.append([p.read_bytes() for p in (hits, out, out.with_suffix(".json"))])
    for what, other in (("twice the same run", made[1]), ("one and two threads", made[2])):
        different = sum(a != b for a, b in zip(made[0], other, strict=True))
        print(f"{what}: {limit(f'files that differ, {what}', different, 0)} of hits.h5, fit.h5, fit.json differ")


def production(data: Path, work: Path) -> None:
    """`gradcal produce` of 10 muons of 1 GeV an event, the whole command: time, memory, and bytes on 1 and 2 cores."""
    print("events  muons  processes  seconds (median of 3)  largest process [MiB]  file [MB]")
    memory: dict[int, float] = {}
    for events, processes in ((100, 2), (100, 1), (400, 2), (1600, 2)):
        config = json.dumps({"sample": {"generator": {"preset": "muon_1gev", "events": events}}})
        out = work / f"muons_{events}_{processes}.h5"
        command = [sys.executable, "-m", "pipeline.cli", "produce", "--config-json", config]
        command += ["--processes", str(processes), str(out)]
        seconds, peak = zip(*(_measured(command) for _ in range(3 if events == 100 else 1)))
        median = float(np.median(seconds))
        memory[events] = max(peak)
        shown = (
            limit("seconds for 1000 muons on two cores", median, 5)
            if (events, processes) == (100, 2)
            else f"{median:.1f}"
        )
        print(
            f"{events:6}  {10 * events:5}  {processes:9}  {shown:21}  {max(peak):21.0f}"
            f"  {out.stat().st_size / 1e6:9.1f}"
        )
    limit("growth of memory from 400 to 1600 events [MiB]", memory[1600] - memory[400], 30)
    same = (work / "muons_100_1.h5").read_bytes() == (work / "muons_100_2.h5").read_bytes()
    print(f"files of one and of two processes that differ: {limit('one and two processes', 1 - same, 0)}")


#: Runs a command and prints its seconds and its peak memory in KiB. A process counts the memory of the one that it was
#: forked from, which must therefore be small.
_MEASURE = """
import os, sys, time
start = time.monotonic()
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(process, 0)
print(time.monotonic() - start, usage.ru_maxrss)
sys.exit(status != 0)
"""


def _measured(command: list[str]) -> tuple[float, float]:
    """Seconds of a command, and the peak memory of its largest process [MiB]."""
    measure = [sys.executable, "-c", _MEASURE, *command]
    done = subprocess.run(measure, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak) / 1024


def transport(data: Path, work: Path) -> None:
    """Our particles in liquid argon against those of Geant4 and published tables."""
    all_tables(data, limit)


def score(data: Path, work: Path, *, targets: int = 2, draws: int = 500, length: float = 400) -> None:
    """The score of the likelihood at the truth: mean 0, covariance equal to the expected information."""
    score_table(work, gradcal, limit, targets=targets, draws=draws, length=length)


def pulls(data: Path, work: Path, *, targets: int = 8, draws: int = 25, length: float = 1000) -> None:
    """Fits of noisy data from the nominal point: pulls, coverage and errors, every fit counted."""
    pulls_table(work, gradcal, limit, targets=targets, draws=draws, length=length)


def s1(data: Path, work: Path, *, targets: int = 8, draws: int = 1, length: float = 40_000) -> None:
    """Fits of 400 m of muons with noise: errors beside the published ones of stage S1."""
    s1_table(work, gradcal, limit, targets=targets, draws=draws, length=length)


def reconstruction(data: Path, work: Path, *, first: int = 50, events: int = 50) -> None:
    """Tracks reconstructed from noisy hits of Geant4's muons, beside the truth."""
    reconstruction_table(data, work, gradcal, limit, first=first, events=events)


TABLES: dict[str, Callable[..., None]] = {
    "reference": reference,
    "gradients": gradients,
    "speed": speed,
    "closure": closure,
    "reproducible": reproducible,
    "production": production,
    "transport": transport,
    "reconstruction": reconstruction,
    "score": score,
    "pulls": pulls,
    "s1": s1,
}


def main(wanted: list[str]) -> int:
    """Make the tables `wanted` (all if empty), each a name, or a name with sizes: `name:size=value,...`."""
    data = data_folder()
    if not data.is_dir():
        print(f"validate: the shared data are not in {data}; set GRADCAL_DATA.", file=sys.stderr)
        return 2
    try:
        tables = [_table(text) for text in wanted or TABLES]
    except ValueError as error:
        print(f"validate: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        for name, sizes in tables:
            print(f"\n## {name}: {TABLES[name].__doc__}\n", flush=True)
            TABLES[name](data, Path(folder), **sizes)
    print(f"\n{len(FAILED)} limits missed." if FAILED else "\nAll limits are kept.")
    print("\n".join(FAILED))
    return 1 if FAILED else 0


def _table(text: str) -> tuple[str, dict[str, float]]:
    """Name and sizes of a table; raises `ValueError` where there is none such."""
    name, _, given = text.partition(":")
    if name not in TABLES:
        raise ValueError(f"there is no table {name!r}; there are {', '.join(TABLES)}.")
    known = TABLES[name].__kwdefaults__ or {}
    sizes = {}
    for key, _, value in (size.partition("=") for size in given.split(",") if size):
        if key not in known:
            raise ValueError(f"the table {name} has no size {key!r}; it has {', '.join(known) or 'none'}.")
        sizes[key] = type(known[key])(value)
    return name, sizes


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
