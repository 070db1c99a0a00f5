"""The workflow from energy deposits to the page: what it makes, and when it makes it again."""

import json
import re
from pathlib import Path

import pytest

from .conftest import Workflow

FOLDER = Path("results/closure/generated")
RESULTS = {
    Path("results/run.json"),
    FOLDER / "segments.h5",
    FOLDER / "selected.h5",
    FOLDER / "target_1/hits.h5",
    FOLDER / "target_1/likelihood/fit.h5",
    FOLDER / "target_1/likelihood/fit.json",
    FOLDER / "report.html",
}
AFTER_SELECT = {"select", "simulate", "fit", "report"}


def without_times(content: bytes) -> bytes:
    """A page without the parts that show times."""
    return re.sub(rb"<!-- timings -->.*?<!-- /timings -->", b"", content, flags=re.DOTALL)


def results(folder: Path) -> dict[Path, bytes]:
    """Every file below `results` by its path, without logs and timings."""
    files = [path.relative_to(folder) for path in (folder / "results").rglob("*") if path.is_file()]
    timings = {"logs", "benchmarks"}
    return {
        path: without_times((folder / path).read_bytes())
        for path in files
        if not timings & set(path.parts) and not path.name.endswith(".timing.json")
    }


def edit(module: Path) -> None:
    """Change a module without changing what it does."""
    module.write_text(module.read_text() + "\n# edited\n")


def test_everything_is_made_and_nothing_else(whole_run):
    made = results(whole_run.folder)
    assert set(made) == RESULTS
    assert all(made.values())
    page = (whole_run.folder / FOLDER / "report.html").read_text()
    jobs = page.split('id="cost"')[1].split("Every job")[1]
    for job in ("produce.tsv", "select.tsv", "simulate.tsv", "hits.timing.json", "fit.tsv", "fit.timing.json"):
        assert f">{job}</a>" in jobs
    for link in re.findall(r'href="([^#"][^"]*)"', page.split("<script")[0]):
        assert (whole_run.folder / FOLDER / link).is_file(), link
    fit = json.loads(made[FOLDER / "target_1/likelihood/fit.json"])
    record = json.loads(made[Path("results/run.json")])
    assert {p["name"]: p["target"] for p in fit["parameters"]} == pytest.approx(record["targets"]["target_1"])


def test_the_same_run_again_does_nothing(whole_run):
    done = whole_run()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout


def test_one_core_and_two_give_the_same_bytes(whole_run, tmp_path):
    once = Workflow(tmp_path)
    done = once(cores=1)
    assert done.returncode == 0, done.stdout
    assert results(once.folder) == results(whole_run.folder)


def test_a_copy_of_the_checkout_has_nothing_to_do(copied):
    assert copied.jobs() == set()


@pytest.mark.parametrize(
    ("module", "again"),
    [
        ("produce/generator.py", {"produce"} | AFTER_SELECT),
        ("select/cuts.py", AFTER_SELECT),
        ("detector/argon.py", {"simulate", "fit", "report"}),
        ("detector/files/module0.yaml", {"produce"} | AFTER_SELECT),
        ("calibrate/levenberg_marquardt.py", {"fit", "report"}),
        ("report/page.py", {"report"}),
        ("report/templates/page.css", {"report"}),
        ("study/__init__.py", set()),
    ],
)
def test_an_edit_reruns_what_depends_on_it(copied, module, again):
    edit(copied.checkout / "pipeline" / module)
    # The record of the run names the code of all stages.
    assert copied.jobs() == again | ({"record"} if again else set())


@pytest.mark.parametrize(
    ("setting", "again"),
    [
        ("seed=2", {"produce"} | AFTER_SELECT),
        ("select={min_track_length_cm: 3.0}", AFTER_SELECT),
        ("detector={recombination: box}", {"simulate", "fit", "report"}),
        ("readout={pixels: {gain_spread: 0.01}}", {"simulate", "fit", "report"}),
        ("methods={likelihood: {max_iterations: 5}}", {"fit", "report"}),
        ("report={title: Another}", {"report"}),
        ("targets={named: {mine: {birks_ab: 0.81}}}", {"simulate", "fit", "report"}),
        ("simulate={threads: 1}", set()),
    ],
)
def test_a_setting_reruns_what_uses_it(whole_run, setting, again):
    assert whole_run.jobs("--config", setting) == again | {"record"}


def test_a_new_target_leaves_the_others_alone(whole_run):
    done = whole_run("--dry-run", "--config", "targets={drawn: 2}")
    assert "target_2" in done.stdout
    assert "hits of target_1" not in done.stdout
    assert "Fitting target_1" not in done.stdout


def test_a_file_whose_path_has_spaces_is_a_sample(whole_run, tmp_path):
    sample = tmp_path / "a folder" / "my muons.h5"
    sample.parent.mkdir()
    sample.write_bytes((whole_run.folder / FOLDER / "segments.h5").read_bytes())
    workflow = Workflow(tmp_path)
    done = workflow("--config", f"sample={json.dumps({'file': str(sample)})}", "--until", "select")
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "results/closure/my_muons/selected.h5").is_file()


def test_a_failing_command_is_shown_in_its_own_words(whole_run, tmp_path):
    sample = tmp_path / "broken.h5"
    sample.write_bytes((whole_run.folder / FOLDER / "segments.h5").read_bytes()[:1000])
    done = Workflow(tmp_path)("--config", f"sample={json.dumps({'file': str(sample)})}")
    assert done.returncode == 1
    assert "gradcal convert: " in done.stdout
    assert "Traceback" not in done.stdout
    assert results(tmp_path).keys() <= {Path("results/run.json")}


def test_a_table_of_pixels_is_an_input_of_the_simulation(whole_run, tmp_path):
    table = tmp_path / "pixels.csv"
    table.write_text("tpc,pixel_x,pixel_y,threshold_electrons\n0,1,2,7100\n")
    done = whole_run("--dry-run", "--config", "readout=" + json.dumps({"pixels": {"file": str(table)}}))
    assert f"Updated input files: {table}\n" in done.stdout, done.stdout
