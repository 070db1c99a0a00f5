"""Processes that work for a main one."""

from __future__ import annotations

import os
import signal
import threading
from multiprocessing import parent_process


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
