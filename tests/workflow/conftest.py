"""Whole runs of the workflow on a tiny configuration."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = Path(__file__).with_name("tiny.yaml")


class Workflow:
    """Runs Snakemake in a folder of its own, on this checkout or a copy of it, as a user would."""

    def __init__(self, folder: Path, checkout: Path = ROOT, path: str | None = None) -> None:
        self.folder = folder
        self.checkout = checkout
        # Neither an activated environment nor a PYTHONPATH helps the workflow to find its package.
        self.environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        if path is not None:
            self.environment["PATH"] = path

    def __call__(self, *arguments: str, config: Path = TINY, cores: int = 2) -> subprocess.CompletedProcess[str]:
        """Run Snakemake with these arguments; its output, errors included, is in `stdout`."""
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(self.checkout / "Snakefile")]
        command += ["--directory", str(self.folder), "--cores", str(cores), "--configfile", str(config), *arguments]
        return subprocess.run(
            command,
            env=self.environment,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=600,
            check=False,
        )

    def jobs(self, *arguments: str, config: Path = TINY) -> set[str]:
        """The rules that a run would execute."""
        done = self("--dry-run", *arguments, config=config)
        assert done.returncode == 0, done.stdout
        if "Nothing to be done" in done.stdout:
            return set()
        table = done.stdout.split("Job stats:")[1].split("\n\n")[0].splitlines()[3:]
        return {line.split()[0] for line in table} - {"all", "total"}


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory, worker_id):
    """A whole run on two cores, which has succeeded: made once, and copied for each process of the tests."""
    own = tmp_path_factory.mktemp("whole run")
    made = own.parent / "made"
    if worker_id != "master":  # the folders of all processes lie in one
        made = own.parents[1] / "made"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            done = Workflow(own)()
            assert done.returncode == 0, done.stdout
            own.rename(made)
    shutil.copytree(made, own, dirs_exist_ok=True)
    return Workflow(own)


def copy_of_checkout(folder: Path) -> Path:
    """A copy of this checkout below a folder, to be edited."""
    checkout = folder / "checkout"
    for name in ("pipeline", "workflow", "profiles", "envs"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", checkout)
    return checkout


@pytest.fixture
def copied(tmp_path, whole_run):
    """A copy of the checkout, to be edited, whose workflow looks at the results of the whole run."""
    return Workflow(whole_run.folder, copy_of_checkout(tmp_path))
