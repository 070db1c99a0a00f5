"""Where a fit has got to, kept beside its output so that an interrupted one goes on."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..calibrate.progress import Finished, Progress, State
from .atomic import atomic_output
from .provenance import Provenance

#: Seconds between two saved states.
SAVE_EVERY = 5.0


class Checkpoint:
    """The checkpoint of one output: `.<name>.checkpoint.json` in its folder.

    It is only believed where it is undamaged, and where settings, inputs and code are those of the present run.
    """

    def __init__(self, output: Path, provenance: Provenance) -> None:
        self.path = output.with_name(f".{output.name}.checkpoint.json")
        self._provenance = provenance.attributes()

    def save(self, progress: Progress) -> None:
        """Keep the state of a fit; floating-point numbers are kept to the last bit."""
        # A fit that is broken off may have begun the next row.
        history = {name: values[: progress.state.iteration + 1] for name, values in progress.history.items()}
        content = {
            "finished": [_plain(f) for f in progress.finished],
            "present": {"state": _plain(progress.state), "history": history},
        }
        with atomic_output(self.path) as temporary:
            temporary.write_text(json.dumps({"key": self._key(content), "fit": content}), encoding="utf-8")

    @contextmanager
    def kept(self) -> Iterator[Callable[[Progress], None]]:
        """Give a function that takes every state: one is saved every few seconds, the last if the fit breaks off."""
        latest: Progress | None = None
        saved = -math.inf

        def keep(progress: Progress) -> None:
            nonlocal latest, saved
            latest = progress
            if time.monotonic() - saved >= SAVE_EVERY:
                self.save(progress)
                saved = time.monotonic()

        try:
            yield keep
        except BaseException:
            if latest is not None:
                self.save(latest)
            raise

    def load(self) -> Progress | None:
        """The state to go on from; None where there is none of this very fit."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            content = found["fit"]
            if found["key"] != self._key(content):
                return None
            finished = tuple(
                Finished(_state(f["state"]), bool(f["converged"]), str(f["status"]), f["history"], int(f["averaged"]))
                for f in content["finished"]
            )
            return Progress(finished, _state(content["present"]["state"]), content["present"]["history"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            # Missing, truncated by a full disk, or of another version: the fit starts over.
            return None

    def _key(self, content: object) -> str:
        """SHA-256 of what made the fit and of what is kept of it."""
        return hashlib.sha256(json.dumps([self._provenance, content], sort_keys=True).encode()).hexdigest()

    def remove(self) -> None:
        """Forget the state of a finished fit."""
        self.path.unlink(missing_ok=True)


def _plain(part: State | Finished) -> dict[str, Any]:
    content = asdict(part)
    state = content.get("state", content)
    for name in ("x", "moments", "memory"):
        state[name] = None if state[name] is None else np.asarray(state[name], dtype=float).tolist()
    return content


def _state(content: dict[str, Any]) -> State:
    arrays = {
        name: None if content[name] is None else np.array(content[name], dtype=float)
        for name in ("x", "moments", "memory")
    }
    return State(**{**content, **arrays})
