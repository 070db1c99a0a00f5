"""Reconstructions of known deposits as hits would give them if finding and fitting never failed."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from pipeline.config.generator import Generator, Transport
from pipeline.detector.geometry import DetectorGeometry
from pipeline.produce.sample import Recipe, produce
from pipeline.produce.transport import Transported
from pipeline.tables import SPECIES, Bools, Floats, Ints, Reconstruction, Segments, Tracks, Trajectories

#: Deposits further [cm] from every track than this belong to none.
_NEAR = 1.0


def produced(blocks: dict[str, object], events: int, geometry: DetectorGeometry, seed: int) -> list[Transported]:
    """A sample of our own generator."""
    recipe = Recipe(Generator.model_validate({"blocks": blocks, "events": events}), Transport(), geometry, seed)
    return list(produce(recipe, 1))


def ideal(
    part: Transported,
    geometry: DetectorGeometry,
    seed: int,
    segment_cm: float = 1.0,
    charge_error: float = 0.04,
    least_cm: float = 3.0,
) -> tuple[Reconstruction, Ints]:
    """Tracks of at least `least_cm` with the charge near them, and their true PDG codes (absolute).

    `charge_error` is the relative error of dE/dx in a segment of 1 cm; half of the tracks are turned round.
    """
    rng = np.random.default_rng([seed, 21])
    t, s = part.trajectories, part.segments
    there = set(zip(s.event_id.tolist(), s.traj_id.tolist(), strict=True))
    rows = [
        i for i in np.flatnonzero((t.path >= least_cm) & (t.pdg_id != 22)) if (t.event_id[i], t.traj_id[i]) in there
    ]
    lines = [_pieces(s, t, int(i), segment_cm) for i in rows]
    keep = [k for k, v in enumerate(lines) if len(v) > 3]
    rows, lines = [rows[k] for k in keep], [lines[k] for k in keep]
    turned = rng.random(len(lines)) < 0.5
    lines = [v[::-1] if turn else v for v, turn in zip(lines, turned, strict=True)]
    return _assembled(part, rows, lines, geometry, rng, charge_error), np.abs(t.pdg_id[rows])


def _pieces(s: Segments, t: Trajectories, i: int, length: float) -> Floats:
    """Vertices of a line along a trajectory, equally far apart."""
    mine = np.flatnonzero((s.event_id == t.event_id[i]) & (s.traj_id == t.traj_id[i]))
    mine = mine[np.argsort(s.t0_start[mine], kind="stable")]
    points = np.concatenate([s.start[mine][:1], s.end[mine]])
    step = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(step)])
    number = max(1, round(along[-1] / length))
    at = np.linspace(0, along[-1], number + 1)
    return np.stack([np.interp(at, along, points[:, k]) for k in range(3)], axis=1)


def _assembled(
    part: Transported,
    rows: list[int],
    lines: list[Floats],
    geometry: DetectorGeometry,
    rng: np.random.Generator,
    charge_error: float,
) -> Reconstruction:
    t, s = part.trajectories, part.segments
    start = np.concatenate([v[:-1] for v in lines])
    end = np.concatenate([v[1:] for v in lines])
    owner = np.repeat(np.arange(len(lines)), [len(v) - 1 for v in lines])
    event = t.event_id[rows]
    # Events far apart in the tree.
    shift = 1e4 * np.array([1.0, 0.0, 0.0])
    tree = cKDTree(0.5 * (start + end) + shift * event[owner][:, None])
    distance, nearest = tree.query(s.centre + shift * s.event_id[:, None])
    near = distance < _NEAR
    energy = np.bincount(nearest[near], s.dE[near], len(owner))
    length = np.linalg.norm(end - start, axis=1)
    error = charge_error / np.sqrt(np.maximum(length, 0.1))
    dedx = np.maximum(energy / length * (1 + error * rng.standard_normal(len(length))), 0.2)
    zero = np.zeros(len(owner))
    segments = Segments(
        event_id=event[owner], vertex_id=np.zeros(len(owner), dtype=np.int64), segment_id=np.arange(len(owner)),
        traj_id=owner, pdg_id=np.full(len(owner), 13), start=start, end=end, t0=zero, t0_start=zero, t0_end=zero,
        dE=dedx * length, dx=length, dEdx=dedx,
    )  # fmt: skip
    total = np.bincount(owner, length, len(lines))
    before = np.concatenate([[0.0], np.cumsum(length)[:-1]])
    first = np.concatenate([[0.0], np.cumsum(total)[:-1]])
    residual = total[owner] - (before - first[owner] + 0.5 * length)
    ends = np.array([v[-1] for v in lines])
    begins = np.array([v[0] for v in lines])
    direction = (ends - begins) / np.maximum(np.linalg.norm(ends - begins, axis=1), 1e-9)[:, None]
    tracks = Tracks(
        event_id=event, track_id=np.arange(len(lines)), hits=np.ceil(2 * total).astype(np.int64), length=total,
        rms=_rms(lines), cathode=np.array([(v[:, 2] > 0).any() and (v[:, 2] < 0).any() for v in lines]),
        anode=np.zeros(len(lines), dtype=np.int64), contained=_inside(ends, geometry), start=begins, end=ends,
        direction=direction, covariance=np.tile(1e-4 * np.eye(4), (len(lines), 1, 1)),
        probability=np.full((len(lines), len(SPECIES)), 1 / len(SPECIES)),
    )  # fmt: skip
    empty = np.zeros(0, dtype=np.int64)
    return Reconstruction(
        tracks, segments, residual, np.full((len(owner), 2), 0.05), 24000 * dedx * length, zero, empty
    )


def _rms(lines: list[Floats]) -> Floats:
    """Rms distance of the vertices from a straight line through them."""
    found = []
    for v in lines:
        values = np.linalg.svd(v - v.mean(axis=0), compute_uv=False)
        found.append(np.sqrt((values[1:] ** 2).sum() / len(v)))
    return np.array(found)


def _inside(point: Floats, geometry: DetectorGeometry) -> Bools:
    low, high = geometry.bounds
    return np.asarray(((point > low + 1) & (point < high - 1)).all(axis=1))
