"""Samples from the configuration: particles thrown and followed, part by part, on any number of cores."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import numpy as np

from ..config.generator import Generator, Transport
from ..config.models import Sample
from ..detector.geometry import DetectorGeometry
from ..errors import MemoryLimitError
from ..tables import Primaries
from ..workers import as_worker
from .flight import World
from .generator import events_of, expanded, primaries
from .joining import RAW, Joining
from .light import ELECTRON, PHOTON
from .rules import Rules
from .transport import Transported, transport

#: Primaries that are followed together, about: enough for arrays to be worth it, few enough for some 100 MB.
_TOGETHER = 500

#: Energy [MeV] of an electron or photon whose shower is as much as one more primary: its steps grow with its energy,
#: those of others with the size of the detector.
_SHOWER = 1000.0

#: Number of the stream of random numbers that transport draws from.
_STREAM = 7


@dataclass(frozen=True)
class Recipe:
    """All that a sample depends on; `generator` is written out in blocks."""

    generator: Generator
    transport: Transport
    geometry: DetectorGeometry
    seed: int

    @staticmethod
    def of(sample: Sample, geometry: DetectorGeometry, seed: int) -> Recipe:
        """What the settings of a sample ask for; raises `ConfigError` where they do not fit the detector."""
        return Recipe(expanded(sample.generator, geometry), sample.transport, geometry, seed)

    @property
    def events(self) -> int:
        """Number of events."""
        return events_of(self.generator)

    def primaries(self) -> Primaries:
        """The particles of all events."""
        return primaries(self.generator, self.geometry, self.seed, 0, self.events)


def parts(recipe: Recipe) -> list[tuple[int, int]]:
    """First event and number of events of each part; they depend on the recipe only, never on the cores."""
    some = min(recipe.events, 20)
    first = primaries(recipe.generator, recipe.geometry, recipe.seed, 0, some)
    showers = np.isin(np.abs(first.pdg_id), (ELECTRON, PHOTON))
    size = len(first) + float(first.kinetic_energy[showers].sum()) / _SHOWER
    each = max(1, round(_TOGETHER * some / max(size, 1.0)))
    return [(start, min(each, recipe.events - start)) for start in range(0, recipe.events, each)]


def produce_part(recipe: Recipe, first: int, events: int) -> Transported:
    """Throw and follow the particles of `events` events from number `first` on."""
    thrown = primaries(recipe.generator, recipe.geometry, recipe.seed, first, events)
    settings = recipe.transport
    rules = Rules(settings.step_cm, settings.production_cut_mev, hadronic=settings.hadronic)
    joining = Joining(length=settings.merge_cm) if settings.merge_cm > 0 else RAW
    rng = np.random.default_rng([recipe.seed, _STREAM, first])
    return transport(thrown, World.of(recipe.geometry), rules, joining, rng)


def produce(recipe: Recipe, processes: int) -> Iterator[Transported]:
    """The parts of a sample in order, made by `processes` processes: the same whatever their number.

    At most a few finished parts wait, so that memory does not grow with the number of events. Raises
    `MemoryLimitError` where memory does not suffice or one of the processes is ended, as systems short of it do.
    """
    work = parts(recipe)
    try:
        if processes < 2 or len(work) < 2:
            yield from (produce_part(recipe, first, events) for first, events in work)
        else:
            yield from _together(recipe, work, processes)
    except (BrokenProcessPool, MemoryError) as error:
        raise MemoryLimitError(
            "the memory of this machine did not suffice to follow the particles, or one of the processes was ended "
            "from outside; lower --processes, or the particles in an event (sample.generator)."
        ) from error


def _together(recipe: Recipe, work: list[tuple[int, int]], processes: int) -> Iterator[Transported]:
    waiting: deque[Future[Transported]] = deque()
    with ProcessPoolExecutor(min(processes, len(work)), initializer=as_worker) as pool:
        try:
            for first, events in work:
                waiting.append(pool.submit(produce_part, recipe, first, events))
                if len(waiting) > processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
