"""Equal work has equal provenance, and an edit is noticed by exactly what imports it."""

import hashlib
import json
import shutil
import subprocess
import sys

import h5py
import pytest

from pipeline.errors import FileFormatError
from pipeline.storage.provenance import (
    Provenance,
    code_hash,
    file_hash,
    read_provenance,
    write_provenance,
)
from pipeline.storage.record import STAGES

from ..conftest import ROOT

HASHES = """
import json, sys
from pipeline.storage.provenance import code_hash
print(json.dumps({name: code_hash(name) for name in sys.argv[1:]}))
"""

#: A small package of the same shape: module, content.
SOURCES = {
    "cli/first.py": "def main():\n    from ..physics import curve\n",
    "cli/second.py": "import pipeline.physics.other as other\nfrom ..config.load import load\n",
    "physics/__init__.py": "",
    "physics/curve.py": "from . import deep\nfrom ..parameters import table\n",
    "physics/deep.py": "from .curve import something  # a circle\n",
    "physics/other.py": "X = 1\n",
    "report/figure.py": "from ..detector.plane import PLANE\n",
    "detector/plane.py": "PLANE = 1\n",
}


@pytest.fixture
def package(tmp_path):
    """A copy of the package with the modules of SOURCES added."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=ignore)
    for name, text in SOURCES.items():
        path = tmp_path / "pipeline" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


COMMANDS = ("pipeline.cli.first", "pipeline.cli.second", "pipeline.report.figure")


def hashes(folder, commands) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", HASHES, *commands], cwd=folder, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def touched(folder, edited: str, commands=COMMANDS) -> set[str]:
    before = hashes(folder, commands)
    path = folder / "pipeline" / edited
    path.write_text(path.read_text() + "\n# edited\n")
    after = hashes(folder, commands)
    return {name.split(".")[-1] for name in commands if before[name] != after[name]}


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        ("physics/deep.py", {"first"}),  # through a lazy import and a circle
        ("physics/other.py", {"second"}),  # by its absolute name
        ("physics/__init__.py", {"first", "second"}),  # a package above what is imported
        ("cli/first.py", {"first"}),
        ("parameters.py", {"first"}),
        ("config/models.py", set()),  # settings count by their values
        ("detector/files/module0.yaml", {"figure"}),
        ("report/templates/page.html", {"figure"}),
        ("detector/argon.py", set()),
        ("__init__.py", {"first", "second", "figure"}),
        ("cli/main.py", set()),
    ],
)
def test_an_edit_changes_exactly_what_imports_it(package, edited, expected):
    assert touched(package, edited) == expected


@pytest.mark.parametrize("template", ["page.html", "page.css", "page.js"])
def test_an_edited_template_makes_the_page_again_and_nothing_else(package, template):
    stages = tuple(f"pipeline.cli.{stage}" for stage in STAGES)
    assert touched(package, f"report/templates/{template}", stages) == {"report"}


def test_real_commands_know_their_physics():
    assert code_hash("pipeline.storage.detector") != code_hash("pipeline.storage.hits")
    with pytest.raises(ValueError, match=r"no module pipeline\.nowhere"):
        code_hash("pipeline.nowhere")


def test_hash_of_a_file_is_that_of_its_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert file_hash(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(FileFormatError, match="cannot be read"):
        file_hash(tmp_path / "b")


def test_provenance_survives_the_file_and_names_no_place(tmp_path):
    source = tmp_path / "segments.h5"
    source.write_bytes(b"abc")
    config = {"seed": 1, "select": {"species": [13], "a": "µ"}}
    made = Provenance.of("select", config, inputs={"segments": source}, module="pipeline.cli.config")
    with h5py.File(tmp_path / "out.h5", "w") as file:
        write_provenance(file, made)
    with h5py.File(tmp_path / "out.h5") as file:
        found = read_provenance(file)
    assert found["stage"] == "select" and found["config"] == config
    assert found["inputs"] == {"segments": file_hash(source)}
    assert found["code_hash"] == code_hash("pipeline.cli.config")
    text = json.dumps(config, sort_keys=True)
    assert found["config_hash"] == hashlib.sha256(text.encode()).hexdigest()
    assert str(tmp_path).encode() not in (tmp_path / "out.h5").read_bytes()


def test_order_of_settings_does_not_matter():
    one = Provenance("fit", {"a": 1, "b": {"c": 2, "d": 3}}, {}, "x")
    two = Provenance("fit", {"b": {"d": 3, "c": 2}, "a": 1}, {}, "x")
    assert one.attributes() == two.attributes()


def test_large_settings_fit(tmp_path):
    # HDF5 allows 64 KiB for an attribute that is stored in the header.
    config = {"targets": {f"target_{i}": {"birks_ab": 0.8 + i} for i in range(10_000)}}
    with h5py.File(tmp_path / "out.h5", "w") as file:
        write_provenance(file, Provenance("fit", config, {}, "x"))
        assert read_provenance(file)["config"] == config


def test_foreign_file_has_no_provenance(tmp_path):
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        assert read_provenance(file) == {}
