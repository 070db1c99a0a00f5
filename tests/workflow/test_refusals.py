"""What the workflow refuses before it starts, in one sentence each; conda or not; nothing heavy in the Snakefile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, Workflow

NO_CONDA = "/usr/bin:/bin"

# Answers what Snakemake asks of conda; an environment is a link to the Python of the tests.
STAND_IN = """#!/bin/sh
case "$1 $2" in
  "info --json") echo '{"conda_prefix": "@PREFIX@", "conda_version": "25.1.0", "platform": "linux-64"}' ;;
  "--version "*) echo "conda 25.1.0" ;;
  "config "*) echo '{"get": {"channel_priority": "strict"}}' ;;
  "env create")
    while [ $# -gt 0 ]; do
      case "$1" in --prefix|-p) prefix=$2; shift ;; --prefix=*) prefix=${1#--prefix=} ;; esac
      shift
    done
    mkdir -p "$prefix/bin"
    printf '#!/bin/sh\\nexec "@PYTHON@" "$@"\\n' > "$prefix/bin/python"
    chmod +x "$prefix/bin/python"
    echo created >> "@PREFIX@/created" ;;
esac
"""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "select:\n  max_cos: 0.9\n",
            "line 2: select.max_cos is not a setting; did you mean select.max_abs_cos_drift?",
        ),
        ("simulate: {dtype: float16}\n", "simulate.dtype"),
        ("scenario: ladder\n", "scenario 'ladder' is not one of scenarios"),
        ("scenarios: {closure: {targets: [taget_1]}}\n", "no target 'taget_1'; did you mean 'target_1'?"),
        ("sample: {file: nowhere.root}\n", "sample.file: there is no file 'nowhere.root'"),
        ("detector: {file: modul0}\n", "detector.file: there is no detector 'modul0'; did you mean 'module0'"),
        (
            "readout: {pixels: {file: none.csv}}\n",
            "readout.pixels.file: there is no file 'none.csv'; give a CSV or HDF5",
        ),
        ("readout: {pixels: {gain_spread: 0.3}}\n", "readout.pixels.gain_spread is so wide that the gain of some"),
        ("results: /dev/null/results\n", "results: /dev/null/results cannot be made"),
    ],
)
def test_a_wrong_configuration_ends_in_one_sentence(tmp_path, text, sentence):
    config = tmp_path / "wrong.yaml"
    config.write_text(text)
    done = Workflow(tmp_path)(config=config)
    assert done.returncode == 1
    said = done.stdout.split("WorkflowError:\n")[1]
    assert sentence in said
    assert said.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_a_mistake_on_the_command_line_is_placed_there(tmp_path):
    done = Workflow(tmp_path)("--config", "seed=-1")
    assert done.returncode == 1
    assert "command line: seed must be at least 0" in done.stdout


@pytest.mark.parametrize("given", [["mine.yaml"], ["other.yaml", "mine.yaml"]])
def test_a_mistake_is_placed_in_the_file_that_has_it(tmp_path, given):
    """Snakemake merges config.yaml with the files that are given."""
    (tmp_path / "config.yaml").write_text("seed: 2\n")
    (tmp_path / "mine.yaml").write_text("select: {max_total_length_cm: 60.0}\n")
    (tmp_path / "other.yaml").write_text("seed: 3\n")
    workflow = Workflow(tmp_path)
    wrong = tmp_path / ("config.yaml" if given == ["mine.yaml"] else "other.yaml")
    wrong.write_text("seed: 2\nselect:\n  max_cos: 0.9\n")
    done = workflow(*given[1:], config=tmp_path / given[0])
    assert done.returncode == 1
    assert f"{wrong.name}, line 3: select.max_cos is not a setting" in done.stdout


def test_conda_environments_are_left_out_where_there_is_no_conda(tmp_path):
    done = Workflow(tmp_path, path=NO_CONDA)("--use-conda", "--until", "record")
    assert done.returncode == 0, done.stdout
    assert "there is no conda on PATH" in done.stdout
    assert (tmp_path / "results/run.json").is_file()


def test_conda_environments_are_used_where_there_is_conda(tmp_path):
    prefix = tmp_path / "conda"
    (prefix / "bin").mkdir(parents=True)
    conda = prefix / "bin" / "conda"
    conda.write_text(STAND_IN.replace("@PREFIX@", str(prefix)).replace("@PYTHON@", sys.executable))
    conda.chmod(0o755)
    (prefix / "bin" / "activate").write_text(f'export PATH="$1/bin:$PATH"; echo used >> "{prefix}/used"\n')
    done = Workflow(tmp_path, path=f"{prefix / 'bin'}:{NO_CONDA}")("--use-conda", "--until", "record")
    assert done.returncode == 0, done.stdout
    assert (prefix / "created").is_file()
    assert (prefix / "used").is_file()
    assert (tmp_path / "results/run.json").is_file()


def test_reading_the_workflow_loads_no_heavy_library(tmp_path):
    code = """
import sys
from pipeline import layout, targets
from pipeline.config import load
from pipeline.storage import provenance, record
print({"torch", "uproot", "awkward", "scipy", "plotly"} & set(sys.modules))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "set()\n"


def test_every_profile_is_a_folder_with_a_configuration():
    assert {path.parent.name for path in Path(ROOT, "profiles").glob("*/config.yaml")} == {
        "default",
        "slurm",
        "htcondor",
    }
