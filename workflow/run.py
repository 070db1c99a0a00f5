"""Run the whole workflow and print where its page is (`make run`)."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path

from pipeline.config.load import load_config
from pipeline.layout import page

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run Snakemake at the root of the checkout; its exit status, and the page's path if it succeeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", default="all", help="processor cores to use")
    parser.add_argument("--sample", default="", help="ROOT or HDF5 file of energy deposits; none: the particle gun")
    parser.add_argument("--standing", type=Path, default=Path.cwd(), help="folder that --sample is relative to")
    args = parser.parse_args()

    command = [sys.executable, "-m", "snakemake", "--cores", args.cores]
    overrides = {}
    if args.sample:
        overrides["sample"] = {"file": str(found(Path(args.sample).expanduser(), args.standing))}
        command += ["--config", f"sample={json.dumps(overrides['sample'])}"]
    snakemake = subprocess.Popen(command, cwd=ROOT)
    # Ctrl-C reaches Snakemake as well, which ends its jobs in order; this process waits for it.
    signal.signal(signal.SIGINT, lambda *_: None)
    status = snakemake.wait()
    if status == 0:
        print(f"\nThe page: {ROOT / page(load_config(ROOT / 'config.yaml', overrides))}")
    return status


def found(sample: Path, standing: Path) -> Path:
    """The sample as seen from where the user stands; from the checkout if it is not there."""
    return standing / sample if (standing / sample).exists() else ROOT / sample


if __name__ == "__main__":
    sys.exit(main())
