"""Where results go and which paths are refused."""

from pathlib import Path

import pytest

from pipeline.config.generator import Generator
from pipeline.config.models import Config, Sample
from pipeline.errors import ConfigError
from pipeline.layout import check_paths, pages, sample_name


@pytest.mark.parametrize(
    ("sample", "name"),
    [
        (Sample(), "muons_and_protons"),
        (Sample(generator=Generator(preset="muon_1gev")), "muon_1gev"),
        (Sample(generator=Generator(dlp_file="bomb.yaml")), "generated"),
        (Sample(file="some/folder/edepsim.v2.root"), "edepsim.v2"),
        (Sample(file="my muons (new).h5"), "my_muons_new"),
        (Sample(file="μ.h5"), "sample"),
        (Sample(file="edepsim.root", name="near_detector"), "near_detector"),
    ],
)
def test_the_folder_of_a_sample(sample, name):
    config = Config(sample=sample, results="out")
    assert sample_name(config) == name
    assert pages(config) == [Path("out/closure") / name / "report.html"]


def test_a_missing_sample_is_refused(tmp_path):
    config = Config(sample=Sample(file=str(tmp_path / "nowhere.root")), results=str(tmp_path))
    with pytest.raises(ConfigError, match=r"sample\.file: there is no file .*nowhere\.root"):
        check_paths(config)


def test_a_missing_file_of_particles_is_refused(tmp_path):
    sample = Sample(generator=Generator(dlp_file=str(tmp_path / "bomb.yaml")))
    with pytest.raises(ConfigError, match=r"sample\.generator\.dlp_file: there is no file .*bomb\.yaml"):
        check_paths(Config(sample=sample, results=str(tmp_path)))


def test_braces_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="results: the workflow cannot use the braces"):
        check_paths(Config(results=str(tmp_path / "{sample}")))


def test_a_results_folder_inside_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ConfigError, match=r"results: .*file is a file; choose another folder"):
        check_paths(Config(results=str(tmp_path / "file" / "deeper" / "results")))


def test_a_results_folder_that_can_be_made_is_accepted(tmp_path):
    check_paths(Config(results=str(tmp_path / "not" / "yet" / "there")))
