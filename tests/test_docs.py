"""What the documentation shows must work: configurations load, links lead somewhere, commands and settings exist."""

import re
from pathlib import Path

import pytest

from pipeline.cli.main import commands
from pipeline.config.load import load_config
from pipeline.config.models import Config
from pipeline.parameters import table

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def _every(pattern: str) -> list[tuple[str, str]]:
    return [(page.name, found) for page in PAGES for found in re.findall(pattern, page.read_text(), re.DOTALL)]


@pytest.mark.parametrize(("page", "text"), _every(r"```yaml\n(.*?)```"))
def test_configurations_load(tmp_path: Path, page: str, text: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    load_config(file)


@pytest.mark.parametrize(("page", "target"), _every(r"\]\(([^)#:]+)\)"))
def test_links_lead_to_files(page: str, target: str) -> None:
    assert (ROOT / "docs" / target).exists()


@pytest.mark.parametrize(("page", "command"), sorted(set(_every(r"gradcal +([a-z]+) +[-A-Z]"))))
def test_commands_exist(page: str, command: str) -> None:
    assert command in commands()


@pytest.mark.parametrize(("page", "path"), sorted(set(_every(r"`((?:pipeline|workflow|envs|profiles)/[\w./-]+)`"))))
def test_files_exist(page: str, path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    ("page", "setting"),
    sorted(set(_every(r"`((?:sample|checks|select|detector|readout|simulate|targets|report)\.(?!py\b)[a-z_.]+)`"))),
)
def test_settings_exist(page: str, setting: str) -> None:
    place: object = Config().model_dump()
    for name in setting.split("."):
        assert isinstance(place, dict) and name in place, f"{page} names {setting}"
        place = place[name]


def test_parameters_are_those_of_the_table() -> None:
    """The table of the six in physics.md: nominal value and range."""
    rows = re.findall(r"^\| `(\w+)` \| \S+ \| (\S+) \| (\S+) - (\S+) \|", (ROOT / "docs/physics.md").read_text(), re.M)
    assert len(rows) == 6
    for name, *numbers in rows:
        parameter = table()[name]
        assert [float(n) for n in numbers] == [parameter.nominal, parameter.low, parameter.high]
