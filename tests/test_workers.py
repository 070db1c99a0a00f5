"""Processes that work for a main one: what ends them, and what is said of it."""

from __future__ import annotations

import multiprocessing
import os
import time

import pytest
import torch

from pipeline.errors import MemoryLimitError
from pipeline.workers import processes


def test_processes_compute_with_one_thread_after_they_were_begun() -> None:
    with processes(1, os.chdir, "/") as pool:
        assert pool.submit(os.getcwd).result() == "/"
        assert pool.submit(torch.get_num_threads).result() == 1
    assert not multiprocessing.active_children()


def test_a_process_that_is_gone_is_told_in_a_sentence() -> None:
    with (
        pytest.raises(MemoryLimitError, match=r"did not suffice for the fits, .* lower simulate\.threads"),
        processes(1) as pool,
    ):
        pool.submit(os._exit, 9).result()


def test_processes_end_when_nobody_waits_for_their_answer() -> None:
    """The block would else end when they do."""
    with pytest.raises(KeyboardInterrupt), processes(1) as pool:
        waiting = pool.submit(time.sleep, 3600)
        while not waiting.running():
            time.sleep(0.01)
        raise KeyboardInterrupt
    assert not multiprocessing.active_children()
