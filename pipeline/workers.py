"""Processes that work for a main one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import parent_process
from typing import Any

from .errors import MemoryLimitError


@contextmanager
def processes(number: int, begin: Callable[..., None] | None = None, *args: Any) -> Iterator[ProcessPoolExecutor]:
    """So many processes for fits, which compute with one thread each; they call `begin(*args)` first, if there is one.

    Raises `MemoryLimitError` where one of them is ended, as systems short of memory do. They end with the block; at
    once, where that is left by an exception.
    """
    # A process that was forked from one with threads may wait for ever; a spawned one begins anew.
    context = multiprocessing.get_context("spawn")
    others = multiprocessing.active_children()
    with ProcessPoolExecutor(number, context, initializer=_begin, initargs=(begin, args)) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise MemoryLimitError(
                "the memory of this machine did not suffice for the fits, or one of the processes could not be started "
                "or was ended from outside; lower simulate.threads, or the length of track."
            ) from error
        except BaseException:
            # Nobody waits for a fit of minutes to end when its answer is not wanted any more. The pool itself then
            # waits for the processes: two threads that did would not agree on which of them is gone.
            for child in multiprocessing.active_children():
                if child not in others:
                    child.terminate()
            raise


def _begin(begin: Callable[..., None] | None, args: tuple[Any, ...]) -> None:
    import torch  # not by processes that only transport

    as_worker()
    torch.set_num_threads(1)
    if begin is not None:
        begin(*args)


def as_worker() -> None:
    """Make a process of a pool end when it is told to, leave Ctrl-C to the main one, and not outlive that."""
    # Handlers are inherited, and the pool would take what they raise for a result and go on.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    main = parent_process()
    if main is not None:
        main.join()
        os._exit(1)
