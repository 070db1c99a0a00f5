"""Tracks that bend, cross the cathode and lie among each other, for tests of perturbations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.perturb.base import Context, Perturbation, Perturbed
from pipeline.perturb.losses import Losses
from pipeline.perturb.registry import KINDS
from pipeline.storage.detector import load_geometry
from pipeline.tables import Segments

MODULE0 = load_geometry("module0")
CONTEXT = Context(MODULE0, Losses())


def bent_track(rng: np.random.Generator, *, event: int, traj: int, segments: int, pdg: int, first_id: int) -> Segments:
    """A random walk with steps of random length; times grow along it."""
    direction = rng.normal(size=3)
    step = rng.uniform(0.05, 1.0, segments)[:, None] * (direction + 0.2 * rng.normal(size=(segments, 3)))
    step[:, 2] *= 0.3
    edges = rng.uniform([-15, -40, -15], [15, 5, 15]) + np.concatenate([np.zeros((1, 3)), np.cumsum(step, axis=0)])
    length = np.linalg.norm(edges[1:] - edges[:-1], axis=1)
    time = 5.0 + np.concatenate([[0.0], np.cumsum(length)]) / 29979.0
    dE = length * rng.uniform(1.5, 4.0, segments)
    same = {"event_id": event, "vertex_id": 0, "traj_id": traj, "pdg_id": pdg}
    return Segments(
        **{name: np.full(segments, value) for name, value in same.items()},
        segment_id=first_id + np.arange(segments),
        start=edges[:-1],
        end=edges[1:],
        t0=0.5 * (time[1:] + time[:-1]),
        t0_start=time[:-1],
        t0_end=time[1:],
        dE=dE,
        dx=length,
        dEdx=dE / length,
    )


def bent_tracks(
    seed: int = 1, tracks: int = 30, events: int = 4, species: Sequence[int] = (13, -13, 11, 2212)
) -> Segments:
    """Tracks of 1 to 25 deposits whose rows lie among each other, each track in its own order."""
    rng = np.random.default_rng(seed)
    parts, first_id = [], 0
    for traj in range(tracks):
        n = int(rng.integers(1, 26))
        parts.append(
            bent_track(rng, event=traj % events, traj=traj, segments=n, pdg=int(rng.choice(species)), first_id=first_id)
        )
        first_id += n
    whole = Segments.concatenate(parts)
    place = np.concatenate([np.sort(rng.random(len(part))) for part in parts])
    return whole.take(np.argsort(place))


def apply(segments: Segments, settings: Perturbation) -> Perturbed:
    """One perturbation, in module 0."""
    return KINDS[settings.kind].apply(segments, settings, CONTEXT)


def of_track(segments: Segments, event: int, traj: int) -> Segments:
    """The deposits of one track."""
    return segments.take((segments.event_id == event) & (segments.traj_id == traj))


def keys(segments: Segments) -> set[tuple[int, int]]:
    """The tracks."""
    return set(zip(segments.event_id.tolist(), segments.traj_id.tolist(), strict=True))
