"""The conda environments hold what the commands of their rules import: no less, so that they run, and no more."""

import ast
import re
import sys
from collections.abc import Iterator

import pytest
import yaml

from pipeline.study.registry import STUDIES

from .conftest import ROOT

#: Libraries whose conda package has another name, or comes as a part of one.
PACKAGE_OF = {
    "torch": "pytorch",
    "yaml": "pyyaml",
    "sklearn": "scikit-learn",
    "pydantic_core": "pydantic",
    "markupsafe": "jinja2",
}

#: Reads ROOT files, imported on meeting one; the input of these rules is HDF5, written by the rules before.
ROOT_READER = "pipeline.storage.edepsim"
WITHOUT_ROOT = {"report", "paper", "study_figure"}


def rules() -> list[tuple[str, str, str]]:
    """Every rule with a command: its name, its environment and the command."""
    found = []
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for name, body in re.findall(r"^ *rule (\w+):\n(.*?)(?=^ *rule |\Z)", path.read_text(), re.M | re.S):
            environment = re.search(r"envs/(\w+)\.yaml", body)
            command = re.search(r"python -m pipeline\.cli (\w+)", body)
            if "shell:" not in body:  # it only asks for the results of others
                assert "localrule: True" in body, f"{path.name}: {name}"
                continue
            assert environment and command, f"{path.name}: {name}"
            found.append((name, environment[1], command[1]))
    return found


def file_of(module: str):
    stem = ROOT.joinpath(*module.split("."))
    return next((path for path in (stem / "__init__.py", stem.with_suffix(".py")) if path.is_file()), None)


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those for the type checker only."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from executed(child)


def imported(module: str) -> set[str]:
    """Modules that a module may import, at its top or in a function, and the packages above them."""
    path = file_of(module)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names = set()
    for node in executed(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
    return {name.rsplit(".", n)[0] for name in names for n in range(name.count(".") + 1)}


def libraries(command: str, left_out: set[str]) -> set[str]:
    """The conda packages that a command needs beside Python."""
    waiting, seen, found = {"pipeline.cli.__main__", f"pipeline.cli.{command}"}, set(left_out), set()
    if command == "study":  # the registry names its modules, which are imported when one is asked for
        waiting |= {study.module for study in STUDIES.values()}
    if command in ("draw", "report"):
        waiting |= {study.figure for study in STUDIES.values() if study.figure}
    while waiting - seen:
        module = min(waiting - seen)
        seen.add(module)
        for name in imported(module):
            top = name.split(".")[0]
            if top != "pipeline":
                found.add(PACKAGE_OF.get(top, top))
            elif file_of(name):
                waiting.add(name)
    return found - sys.stdlib_module_names


def contents(environment: str) -> set[str]:
    dependencies = yaml.safe_load((ROOT / f"envs/{environment}.yaml").read_text())["dependencies"]
    return {text.split("=")[0] for text in dependencies} - {"python"}


def test_every_rule_is_seen():
    expected = {
        "produce",
        "convert",
        "contaminate",
        "hits",
        "reconstruct",
        "select",
        "simulate",
        "perturb",
        "fit",
        "report",
        "record",
        "study",
        "study_of_detector",
        "study_figure",
        "paper",
    }
    assert {name for name, _, _ in rules()} == expected


@pytest.mark.parametrize(("rule", "environment", "command"), rules())
def test_the_environment_of_a_rule_has_what_its_command_imports(rule, environment, command):
    left_out = {ROOT_READER} if rule in WITHOUT_ROOT else set()
    assert libraries(command, left_out) <= contents(environment)


@pytest.mark.parametrize("environment", ["core", "report"])
def test_an_environment_has_nothing_that_no_rule_imports(environment):
    needed = [
        libraries(command, {ROOT_READER} if rule in WITHOUT_ROOT else set())
        for rule, env, command in rules()
        if env == environment
    ]
    assert contents(environment) <= set().union(*needed)
