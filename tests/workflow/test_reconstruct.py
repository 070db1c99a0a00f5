"""A scenario whose fits get what is reconstructed from the hits."""

import pytest
import yaml

from .conftest import TINY, Workflow


@pytest.mark.parametrize("scenario", [{}, {"perturb": [{"kind": "smear_dedx", "sigma": 0.02}]}])
def test_hits_are_reconstructed_for_each_target_and_the_fit_gets_that(tmp_path, scenario):
    content = yaml.safe_load(TINY.read_text()) | {"targets": {"drawn": 2}}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(content | {"scenarios": {"closure": {"input": "reconstructed", **scenario}}}))
    done = Workflow(tmp_path)("--dry-run", "--printshellcmds", config=config)
    assert done.returncode == 0, done.stdout
    for target in ("target_1", "target_2"):
        folder = f"results/closure/generated/{target}"
        given = "input.h5" if scenario else "reconstructed.h5"
        assert f" {folder}/hits.h5 {folder}/reconstructed.h5 " in done.stdout
        assert f"--segments {folder}/{given} --hits {folder}/hits.h5 {folder}/likelihood/fit.h5" in done.stdout
    # The page shows what was simulated.
    assert "--segments results/closure/generated/selected.h5" in done.stdout


def test_fits_of_unknown_segments_are_told_the_true_ones_to_measure_their_distance(tmp_path):
    content = yaml.safe_load(TINY.read_text())
    config = tmp_path / "config.yaml"
    scenario = {"input": "reconstructed", "methods": ["likelihood", "unknown_segments"]}
    config.write_text(yaml.safe_dump(content | {"scenarios": {"closure": scenario}}))
    done = Workflow(tmp_path)("--dry-run", "--printshellcmds", config=config)
    assert done.returncode == 0, done.stdout
    assert "unknown_segments/fit.h5 --truth results/closure/generated/selected.h5" in done.stdout
    assert "likelihood/fit.h5 --truth" not in done.stdout
