"""Run the whole workflow and print where its page is (`make run`, `make paper`)."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.config.load import load_config, merged
from pipeline.errors import ConfigError
from pipeline.layout import pages, paper_page
from pipeline.storage.yaml_text import read_yaml

ROOT = Path(__file__).resolve().parents[1]
PAPER = ROOT / "configs" / "paper.yaml"

#: What `make paper` looks for in its folder of data: samples by name, and published fits.
PAPER_SAMPLES = {"muon_1gev": "g4_muon_1gev_100ev.h5", "mixed": "edepsim_mixed_100ev.h5"}
PAPER_PUBLISHED = "published_fits.csv"


def main() -> int:
    """Run Snakemake at the root of the checkout; its exit status, and the path of the pages if it succeeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", default="all", help="processor cores to use")
    parser.add_argument("--sample", default="", help="ROOT or HDF5 file of energy deposits; none: generated particles")
    parser.add_argument("--standing", type=Path, default=Path.cwd(), help="folder that --sample is relative to")
    parser.add_argument("--paper", action="store_true", help="make the figures of the paper")
    parser.add_argument("--data", default="", help="folder with the samples of the paper and the published fits")
    args = parser.parse_args()

    command = [sys.executable, "-m", "snakemake", "--cores", args.cores]
    overrides: dict[str, Any] = {}
    if args.paper:
        try:
            overrides = paper_data(args.data, args.standing)
        except ConfigError as error:
            print(f"make paper: {error}", file=sys.stderr)
            return 2
        command += ["--configfile", str(PAPER)]
    elif args.sample:
        overrides["sample"] = {"file": str(found(args.sample, args.standing))}
    if overrides:
        command += ["--config", *(f"{key}={json.dumps(value)}" for key, value in overrides.items())]
    command += ["--", "paper_all"] if args.paper else []
    snakemake = subprocess.Popen(command, cwd=ROOT)
    # Ctrl-C reaches Snakemake as well, which ends its jobs in order; this process waits for it.
    signal.signal(signal.SIGINT, lambda *_: None)
    status = snakemake.wait()
    if status == 0:
        # As Snakemake puts them together: each of the files over the one before.
        over = merged(read_yaml(PAPER).content, overrides) if args.paper else overrides
        config = load_config(ROOT / "config.yaml", over)
        made = [*pages(config), *([paper_page(config)] if args.paper else [])]
        print("\n" + "\n".join(f"The page: {ROOT / page}" for page in made))
    return status


def paper_data(folder: str, standing: Path) -> dict[str, Any]:
    """Settings that name the data of the paper that are there; without samples, its figures come from generated muons.

    Raises `ConfigError` where a folder was named and holds nothing of it.
    """
    named = folder or os.environ.get("GRADCAL_DATA")
    place = found(named or "../shared/data", standing)
    files = {name: place / file for name, file in PAPER_SAMPLES.items() if (place / file).is_file()}
    published = place / PAPER_PUBLISHED
    if named and not files and not published.is_file():
        wanted = ", ".join([*PAPER_SAMPLES.values(), PAPER_PUBLISHED])
        raise ConfigError(f"{named}: none of {wanted} is there; name the folder that holds them (DATA=folder).")
    overrides: dict[str, Any] = {}
    if published.is_file():
        overrides["paper"] = {"published": str(published.resolve())}
    if not files:
        print("No samples of the paper are at hand; its figures are made with generated muons.", file=sys.stderr)
        return overrides
    overrides["samples"] = {name: {"file": str(path.resolve())} for name, path in files.items()}
    overrides["scenarios"] = {"paper": {"samples": list(files)}}
    return overrides


def found(path: str, standing: Path) -> Path:
    """A path as seen from where the user stands; from the checkout if it is not there."""
    given = Path(path).expanduser()
    return standing / given if (standing / given).exists() else ROOT / given


if __name__ == "__main__":
    sys.exit(main())
