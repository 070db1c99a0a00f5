"""A scenario whose fits get what is reconstructed from the hits."""

import pytest
import yaml

from .conftest import TINY, Workflow


@pytest.mark.parametrize("scenario", [{}, {"perturb": [{"kind": "smear_dedx", "sigma": 0.02}]}])
def test_hits_are_reconstructed_for_each_target_and_the_fit_gets_that(tmp_path, scenario):
    content = yaml.safe_load(TINY.read_text()) | {"targets": {"drawn": 2}}
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(content | {"scenarios": {"closure": {"input": "reconstructed", **scenario}}}))
    done = Workflow(tmp_path)("--dry-run", config=config)
    assert done.returncode == 0, done.stdout
    folder = "results/closure/generated/target_2"
    given = f"{folder}/input.h5" if scenario else f"{folder}/reconstructed.h5"
    fits = [text for text in done.stdout.split("\n\n") if f"output: {folder}/likelihood/fit.h5" in text]
    assert len(fits) == 1 and f"input: {given}, {folder}/hits.h5" in fits[0]
    assert f"output: {folder}/reconstructed.h5" in done.stdout
