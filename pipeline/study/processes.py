"""Studies of many fits, done by several processes: what comes out does not depend on how many."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from contextlib import closing, contextmanager
from typing import Any, Protocol

import torch

from ..config.models import Config
from ..workers import processes as worker_processes

Answer = dict[str, Any]


class Work(Protocol):
    """What all jobs share; processes get a copy each."""

    def do(self, job: Any) -> Answer:
        """The answer to one job, as plain numbers, texts and lists."""
        ...


class Kept(Protocol):
    """Answers of an interrupted study by the number of their job."""

    def found(self) -> Mapping[int, Answer]:
        """What there is already."""
        ...

    def keep(self, number: int, answer: Answer) -> None:
        """Keep one more."""
        ...


def work_through(
    work: Work,
    jobs: Sequence[Any],
    processes: int,
    progress: Callable[[str], None],
    what: str,
    kept: Kept | None = None,
) -> list[Answer]:
    """The answers in the order of the jobs, which `progress` calls `what`; jobs whose answers were kept are not done.

    Raises `MemoryLimitError` where one of the processes is ended, as systems short of memory do.
    """
    answers = {} if kept is None else {n: a for n, a in kept.found().items() if n < len(jobs)}
    told = 20 * len(answers) // max(len(jobs), 1)
    if answers:
        progress(f"going on after {len(answers)} of {len(jobs)} {what}")
    waiting = {n: job for n, job in enumerate(jobs) if n not in answers}
    with closing(_as_they_come(work, waiting, min(processes, len(waiting)))) as found:
        for number, answer in found:
            answers[number] = answer
            if kept is not None:
                kept.keep(number, answer)
            if 20 * len(answers) // len(jobs) > told:
                told = 20 * len(answers) // len(jobs)
                progress(f"{len(answers)} of {len(jobs)} {what}")
    return [answers[n] for n in range(len(jobs))]


def _as_they_come(work: Work, jobs: Mapping[int, Any], processes: int) -> Generator[tuple[int, Answer], None, None]:
    if processes < 2:
        with _one_thread():
            for number, job in jobs.items():
                yield number, work.do(job)
        return
    with worker_processes(processes, _begin, work) as pool:
        numbers = {pool.submit(_do, job): number for number, job in jobs.items()}
        for done in as_completed(numbers):
            yield numbers[done], done.result()


def with_threads(config: Config, threads: int = 1) -> Config:
    """The configuration for jobs that run side by side, with so many threads each."""
    return config.model_copy(update={"simulate": config.simulate.model_copy(update={"threads": threads})})


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread of torch: sums in the same order however many processes there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_work: Work | None = None


def _begin(work: Work) -> None:
    global _work
    _work = work


def _do(job: Any) -> Answer:
    assert _work is not None
    return _work.do(job)
