"""A run on hits that were recorded elsewhere: they take the place of a simulation."""

import yaml

from .conftest import TINY, Workflow

COLUMNS = {
    "event_id": {"name": "e"}, "tpc": {"name": "side", "values": {1: 0, 2: 1}}, "x": {"name": "x", "unit": "mm"},
    "y": {"name": "y", "unit": "mm"}, "t": {"name": "t", "unit": "ns"}, "adc": {"name": "q"},
}  # fmt: skip
AROUND = {"convert", "select", "fit", "report", "record"}


def config_in(folder, **more):
    """The tiny configuration with a file of segments and one of hits."""
    for name in ("segments.h5", "elsewhere.h5"):
        (folder / name).write_text("")
    content = yaml.safe_load(TINY.read_text()) | {
        "sample": {"file": str(folder / "segments.h5")},
        "data": {"file": str(folder / "elsewhere.h5"), "columns": COLUMNS},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content | more))
    return path


def test_recorded_hits_are_read_and_no_target_is_simulated(tmp_path):
    assert Workflow(tmp_path).jobs(config=config_in(tmp_path)) == AROUND | {"hits"}


def test_a_closure_beside_them_simulates_its_target(tmp_path):
    config = config_in(tmp_path, scenarios={"closure": {"targets": ["data", "target_1"]}})
    assert Workflow(tmp_path).jobs(config=config) == AROUND | {"hits", "simulate"}


def test_generated_particles_did_not_leave_them(tmp_path):
    config = config_in(tmp_path, sample={"file": None})
    done = Workflow(tmp_path)("--dry-run", config=config)
    assert done.returncode == 1
    assert "sample.file: the hits of `data` were recorded, so generated particles did not leave them" in done.stdout


def test_a_fit_is_told_the_whole_method_even_where_it_is_like_the_default(tmp_path):
    """The command reads the method by itself: a setting left out, as it is usual, would become another's usual one."""
    method = {"objective": "likelihood", "optimiser": "fisher_scoring", "max_iterations": 7}
    config = config_in(tmp_path, methods={"likelihood": method})
    done = Workflow(tmp_path)("--dry-run", "--printshellcmds", config=config)
    (told,) = [line for line in done.stdout.splitlines() if "pipeline.cli fit" in line]
    for name, value in method.items():
        assert f'"{name}": "{value}"' in told or f'"{name}": {value}' in told
