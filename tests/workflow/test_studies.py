"""Studies as parts of the workflow: each alone from a finished run, and made again for what is its own only."""

import shutil

import pytest

from .conftest import Workflow, copy_of_checkout
from .test_whole_run import edit

FIGURE = "results/closure/generated/studies/taylor.svg"
#: A study of a few steps, by the name of its settings.
SMALL = "study={taylor: {parameters: [birks_ab], steps: 3}}"
LISTED = "scenarios={closure: {studies: [taylor]}}"


@pytest.fixture(scope="module")
def finished(whole_run, tmp_path_factory):
    """A finished run with a study that its scenario does not list, made alone afterwards."""
    folder = tmp_path_factory.mktemp("studies")
    shutil.copytree(whole_run.folder, folder, dirs_exist_ok=True)
    workflow = Workflow(folder)
    assert workflow.jobs("--config", SMALL, "--", FIGURE) == {"study", "study_figure"}
    done = workflow("--config", SMALL, "--", FIGURE)
    assert done.returncode == 0, done.stdout
    return workflow


def test_a_study_makes_a_figure_a_caption_and_a_table(finished):
    made = {path.name for path in (finished.folder / FIGURE).parent.iterdir()}
    assert made == {"taylor.json", "taylor.svg", "taylor.md", "taylor.csv"}
    assert finished.jobs("--config", SMALL, "--", FIGURE) == set()


@pytest.mark.parametrize(
    ("settings", "again"),
    [
        (["study={taylor: {parameters: [birks_ab], steps: 4}}"], {"study", "study_figure"}),
        (
            [
                "study={taylor: {parameters: [birks_ab], steps: 3}, landscape: {points: 3}}",
                "methods={gauss_newton: {max_iterations: 4, fair_scale: 9.0}}",
            ],
            set(),
        ),
    ],
)
def test_its_own_settings_make_it_again_and_no_others(finished, settings, again):
    assert finished.jobs("--config", *settings, "--", FIGURE) == again


@pytest.mark.parametrize(
    ("modules", "again"),
    [
        (["study/taylor.py"], {"study", "study_figure"}),
        (["report/studies/taylor.py"], {"study_figure"}),
        (["study/landscape.py", "report/studies/landscape.py"], set()),
    ],
)
def test_its_own_code_makes_it_again(finished, tmp_path, modules, again):
    checkout = copy_of_checkout(tmp_path)
    for module in modules:
        edit(checkout / "pipeline" / module)
    assert Workflow(finished.folder, checkout).jobs("--config", SMALL, "--", FIGURE) == again


def test_the_page_shows_the_studies_of_the_scenario(finished, tmp_path):
    listed = ("--config", SMALL, LISTED)
    assert finished.jobs(*listed) == {"report", "record"}
    folder = tmp_path / "listed"
    shutil.copytree(finished.folder, folder)
    done = Workflow(folder)(*listed)
    assert done.returncode == 0, done.stdout
    page = (folder / "results/closure/generated/report.html").read_text()
    assert 'id="study-taylor"' in page and 'href="studies/taylor.csv"' in page


def test_a_method_that_there_is_not_is_refused(whole_run):
    done = whole_run("--dry-run", "--config", "study={landscape: {methods: [gaus_newton]}}")
    assert done.returncode == 1
    assert "study.landscape: there is no method 'gaus_newton'; did you mean 'gauss_newton'?" in done.stdout


def test_a_result_of_another_study_that_it_names_is_made_first(tmp_path):
    """Otherwise it is drawn without what fits reached, and nothing else is made."""
    target = "results/closure/generated/studies/bound.json"
    named = "study={bound: {reached: results/closure/generated/studies/ladder.json}}"
    plain, with_ladder = (
        Workflow(tmp_path)("--dry-run", *settings, "--", target).stdout for settings in ((), ("--config", named))
    )
    assert "Study bound of generated" in plain and "Study ladder of generated" not in plain
    assert "Study bound of generated" in with_ladder and "Study ladder of generated" in with_ladder
