"""Outputs that are either whole or absent."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import FileFormatError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_output(path: Path | str) -> Iterator[Path]:
    """Give a temporary name in the folder of `path`, renamed to `path` when the block ends and removed when it fails.

    Missing folders are made. Raises `FileFormatError` if the folder cannot be written or the disk is full.
    """
    target = Path(path)
    # The process number keeps two runs apart; the same folder keeps the rename atomic.
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        check_output(target)
        with temporary.open("wb"):
            pass
    except OSError as error:
        raise _refusal(target, error) from error
    try:
        yield temporary
        temporary.replace(target)
    except (OSError, RuntimeError) as error:
        if _no_room(error):
            raise FileFormatError(f"{target} cannot be written (no room left on the disk); make room.") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def check_output(path: Path | str, *inputs: Path | str) -> None:
    """Refuse an output that could not be written or would replace one of `inputs`, before any work is done.

    Raises `FileFormatError` if `path` is a folder, a device, a pipe, a socket or an input, or its folder cannot be
    made or written.
    """
    target = Path(path)
    try:
        if target.is_dir():
            raise FileFormatError(f"{target} is a folder; give the name of a file to write.")
        if target.exists() and not target.is_file():  # renaming would put a file in its place
            raise FileFormatError(f"{target} is a device, a pipe or a socket; give the name of a file to write.")
        for source in map(Path, inputs):
            if target.exists() and source.exists() and target.samefile(source):
                raise FileFormatError(f"{target} is an input of this command; give the output another name.")
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refusal(target, error) from error
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise FileFormatError(f"{target} cannot be written: no permission to write in {target.parent}; choose another.")


def _no_room(error: BaseException | None) -> bool:
    """Whether a full disk or quota is behind an error: HDF5 says so only in the text of the first error of a chain."""
    while error is not None:
        if getattr(error, "errno", None) in _NO_ROOM or any(f"errno = {n}," in str(error) for n in _NO_ROOM):
            return True
        error = error.__context__
    return False


def _refusal(target: Path, error: OSError) -> FileFormatError:
    reason = (error.strerror or str(error)).lower()
    return FileFormatError(f"{target} cannot be written ({reason}); choose another folder.")
