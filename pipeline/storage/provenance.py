"""Where a file comes from: the settings, inputs and code that made it.

Only what the stage used is recorded, by content: equal work gives equal bytes, wherever and whenever it was done.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py

from .. import __version__
from ..errors import FileFormatError

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGE = __package__.split(".")[0]

# Settings enter a hash by their values: the config slice stands beside the code hash. Hashing the models too
# would rerun every stage whenever any setting is added.
_NOT_HASHED = f"{_PACKAGE}.config"
# The parameter table imports all declarations to be complete; a stage that uses a parameter imports its physics itself.
_NOT_FOLLOWED = f"{_PACKAGE}.parameters"

# Files that are read by a package rather than imported, and count where anything of the package does.
_DATA = {"detector": "files/*.yaml", "reconstruct": "files/*.json", "report": "templates/*"}

_GROUP = "provenance"


@dataclass(frozen=True)
class Provenance:
    """What made a file: `config` slice, `inputs` (name: hash of the content) and hash of the `code`."""

    stage: str
    config: dict[str, Any]
    inputs: dict[str, str]
    code: str

    @classmethod
    def of(
        cls, stage: str, config_slice: Mapping[str, Any], *, inputs: Mapping[str, Path | str], module: str
    ) -> Provenance:
        """Provenance of the output of `stage`, whose code is `module` and all that it imports."""
        hashes = {name: file_hash(path) for name, path in inputs.items()}
        return cls(stage, dict(config_slice), hashes, code_hash(module))

    def attributes(self) -> dict[str, str]:
        """The provenance as text attributes; dictionaries as JSON with sorted keys."""
        config = _json(self.config)
        return {
            "stage": self.stage,
            "config": config,
            "config_hash": hashlib.sha256(config.encode()).hexdigest(),
            "inputs": _json(self.inputs),
            "code_hash": self.code,
            "gradcal_version": __version__,
        }


def write_provenance(group: h5py.Group, provenance: Provenance) -> None:
    """Write `provenance` as attributes of the subgroup `provenance`."""
    group.create_group(_GROUP).attrs.update(provenance.attributes())


def read_provenance(file: h5py.Group) -> dict[str, Any]:
    """What `write_provenance` wrote, with `config` and `inputs` as dictionaries; empty for foreign files."""
    if _GROUP not in file:
        return {}
    found: dict[str, Any] = {name: str(value) for name, value in file[_GROUP].attrs.items()}
    for name in ("config", "inputs"):
        found[name] = json.loads(found.get(name, "{}"))
        if not isinstance(found[name], dict):
            raise FileFormatError(f"{file.file.filename}: {name} of its provenance is damaged; make it again.")
    return found


def file_hash(path: Path | str) -> str:
    """SHA-256 of the content of a file; raises `FileFormatError` if it cannot be read."""
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({(error.strerror or str(error)).lower()}).") from error


def code_hash(*modules: str) -> str:
    """SHA-256 over the sources of `modules` and of everything in the package that they import, at any depth.

    Imports are found by parsing, never by importing, so torch is not loaded; imports inside functions count. Data
    files of a package (`_DATA`) count where anything of that package does.
    Raises `ValueError` for a module that does not exist.
    """
    digest = hashlib.sha256()
    closure = _closure(modules)
    paths = {name: _source(name) for name in closure}
    for package, pattern in _DATA.items():
        if f"{_PACKAGE}.{package}" in closure:
            paths |= {f"{package}/{path.name}": path for path in (_ROOT / package).glob(pattern)}
    for name in sorted(paths):
        path = paths[name]
        assert path is not None
        digest.update(f"{name}\0{file_hash(path)}\n".encode())
    return digest.hexdigest()


def _closure(modules: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        source = _source(name)
        if source is None:
            raise ValueError(f"there is no module {name}")
        if name in found or name == _NOT_HASHED or name.startswith(_NOT_HASHED + "."):
            continue
        found.add(name)
        if "." in name:  # importing a module runs the packages above it
            waiting.append(name.rpartition(".")[0])
        if name != _NOT_FOLLOWED:
            waiting.extend(_imports(name, source, source.stat().st_mtime_ns))
    return found


@cache
def _imports(module: str, source: Path, changed: int) -> tuple[str, ...]:
    """Modules of the package that `module` imports; `changed` makes the cache notice edits."""
    tree = ast.parse(source.read_bytes(), filename=str(source))
    package = module if source.name == "__init__.py" else module.rpartition(".")[0]
    return tuple(sorted({name for node in _statements(tree) for name in _imported(node, package)}))


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """All statements at any depth, without their expressions: these are ten times as many, and none imports."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting.extend(getattr(node, block, ()))


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        candidates = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        parents = package.split(".")
        base = parents[: len(parents) - node.level + 1] if node.level else []
        origin = ".".join([*base, *([node.module] if node.module else [])])
        # A name after `import` may be a module or something defined in one.
        candidates = [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    else:
        return
    for name in candidates:
        if name.split(".")[0] == _PACKAGE and _source(name) is not None:
            yield name


def _source(module: str) -> Path | None:
    """The file of a module of the package; None if there is none."""
    stem = _ROOT.joinpath(*module.split(".")[1:])
    for path in (stem / "__init__.py", stem.with_name(stem.name + ".py")):
        if path.is_file():
            return path
    return None


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, allow_nan=False)
