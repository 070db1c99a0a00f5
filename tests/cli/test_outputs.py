"""No command writes over what it reads."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline.cli.main import run
from pipeline.storage.detector import detector_path

#: Commands with their inputs as files of the fixture and the place of the output.
COMMANDS = {
    "convert": ["convert", "--config", "config.yaml", "segments.h5", "OUT"],
    "select": ["select", "--config", "config.yaml", "segments.h5", "OUT"],
    "simulate": ["simulate", "--config", "config.yaml", "segments.h5", "OUT"],
    "fit": ["fit", "--config", "config.yaml", "--segments", "segments.h5", "--hits", "hits.h5", "OUT"],
    "report": ["report", "--config", "config.yaml", "--segments", "segments.h5", "OUT", "--fits", "a.h5", "b.h5"],
    "study": ["study", "benchmark", "--config", "config.yaml", "--segments", "segments.h5", "--output", "OUT"],
    "produce": ["produce", "--config", "config.yaml", "OUT"],
    "pixels": ["pixels", "--config", "config.yaml", "OUT"],
    "record": ["record", "--config", "config.yaml", "OUT"],
}
READ = [
    (name, word)
    for name, words in COMMANDS.items()
    for word in [*(w for w in words if Path(w).suffix), *(["detector.yaml", "pixels.csv"] if name != "convert" else [])]
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(detector_path("module0"), "detector.yaml")
    Path("config.yaml").write_text(
        json.dumps({"detector": {"file": "detector.yaml"}, "readout": {"pixels": {"file": "pixels.csv"}}})
    )
    for name in ("segments.h5", "hits.h5", "a.h5", "b.h5", "pixels.csv"):
        Path(name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize(("command", "source"), READ)
def test_an_input_is_not_replaced(command, source, link, folder, capsys):
    target = Path("link.h5") if link else Path(source)
    if link:
        target.hardlink_to(source)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run([str(target) if word == "OUT" else word for word in COMMANDS[command]]) == 2
    assert capsys.readouterr().err == (
        f"gradcal {command}: {target} is an input of this command; give the output another name.\n"
    )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_json_beside_a_fit_is_an_output_too(folder, capsys):
    shutil.copy("config.yaml", "out.json")
    words = ["out.json" if word == "config.yaml" else word for word in COMMANDS["fit"]]
    assert run(["out.h5" if word == "OUT" else word for word in words]) == 2
    assert "out.json is an input of this command" in capsys.readouterr().err
