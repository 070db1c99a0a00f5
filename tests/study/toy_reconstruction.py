"""Reconstructions made from the truth, as good or as bad as a test asks for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.reconstruct.track_paths import StraightPieces, line_of
from pipeline.study.truth_hits import Particles
from pipeline.tables import SPECIES, Floats, Ints, Reconstruction, Segments, Tracks


def reconstruction_of(
    segments: Segments,
    particles: Particles,
    hit_track: Ints,
    rows: Ints,
    *,
    moved: Callable[[Floats], Floats] = lambda points: points,
    step: float = 1.0,
    dedx: float = 2.1,
    charge: Floats | None = None,
    knocked_out: float = 0.0,
) -> Reconstruction:
    """One track for each of the particles `rows`, cut into pieces of about `step` cm that lose `dedx` MeV/cm.

    `moved` puts the points of a path where the curve has them; `charge` `(tracks,)` is spread over the pieces of each,
    and `knocked_out` [MeV/cm] is found beside them.
    """
    parts, tracks = [], []
    for number, k in enumerate(rows):
        own = particles.own & (particles.of_segment == k)
        true = StraightPieces.through(np.concatenate([segments.start[own][:1], segments.end[own]]))
        count = max(round(true.length / step), 1)
        points = moved(true.at(np.linspace(0, true.length, count + 1)))
        length = np.linalg.norm(np.diff(points, axis=0), axis=1)
        whole = {"event_id": particles.event_id[k], "traj_id": number, "pdg_id": particles.pdg_id[k]}
        ids = {name: np.full(count, value) for name, value in whole.items()}
        zero, ids["vertex_id"] = np.zeros(count), np.zeros(count, dtype=np.int64)
        parts.append(
            Segments(
                **ids, segment_id=np.arange(count), start=points[:-1], end=points[1:], t0=zero, t0_start=zero,
                t0_end=zero, dE=dedx * length, dx=length, dEdx=np.full(count, dedx),
            )
        )  # fmt: skip
        tracks.append((particles.event_id[k], number, (hit_track == number).sum(), length.sum(), points))
    pieces, count = Segments.concatenate(parts), len(rows)
    per_track = np.ones(count) if charge is None else charge
    sizes = np.array([len(p) for p in parts])
    return Reconstruction(
        tracks=Tracks(
            event_id=np.array([t[0] for t in tracks]),
            track_id=np.array([t[1] for t in tracks]),
            hits=np.array([t[2] for t in tracks]),
            length=np.array([t[3] for t in tracks]),
            rms=np.zeros(count),
            cathode=np.zeros(count, dtype=bool),
            anode=np.zeros(count, dtype=np.int64),
            contained=np.zeros(count, dtype=bool),
            start=np.array([t[4][0] for t in tracks]),
            end=np.array([t[4][-1] for t in tracks]),
            direction=np.array([line_of(t[4]) for t in tracks]),
            covariance=np.zeros((count, 4, 4)),
            probability=np.full((count, len(SPECIES)), 1 / len(SPECIES)),
        ),
        segments=pieces,
        residual_range=np.zeros(len(pieces)),
        position_error=np.zeros((len(pieces), 2)),
        charge=np.repeat(per_track / sizes, sizes),
        knocked_out=np.full(len(pieces), knocked_out * step),
        hit_track=hit_track,
    )
