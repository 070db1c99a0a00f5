"""Made-up tracks for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.tables import Segments

#: `sample` of the configuration: two events of one muon each, from the border.
TWO_MUONS: dict[str, object] = {
    "generator": {
        "events": 2,
        "blocks": {
            "muons": {
                "species": [{"pdg": [13, -13], "kinetic_energy_mev": [800.0, 5000.0]}],
                "position": "border",
                "direction": "isotropic_flux",
            }
        },
    },
    "transport": {"step_cm": 1.0},
}


def straight_track(
    *,
    event: int = 0,
    traj: int = 0,
    start: Sequence[float] = (0.0, 0.0, 20.0),
    direction: Sequence[float] = (1.0, 0.0, 0.0),
    segments: int = 10,
    step: float = 1.0,
    pdg: int = 13,
) -> Segments:
    """A straight track of equal segments of `step` cm and 2.1 MeV/cm, simulation frame."""
    unit = np.asarray(direction, dtype=np.float64) / np.linalg.norm(direction)
    edges = np.asarray(start, dtype=np.float64) + unit * step * np.arange(segments + 1)[:, None]
    whole = {
        name: np.full(segments, value) for name, value in (("event_id", event), ("traj_id", traj), ("pdg_id", pdg))
    }
    length = np.linalg.norm(np.diff(edges, axis=0), axis=1)
    zero = np.zeros(segments)
    return Segments(
        **whole,
        vertex_id=np.zeros(segments, dtype=np.int64),
        segment_id=np.arange(segments),
        start=edges[:-1],
        end=edges[1:],
        t0=zero,
        t0_start=zero,
        t0_end=zero,
        dE=2.1 * length,
        dx=length,
        dEdx=np.full(segments, 2.1),
    )


def random_tracks(seed: int, tracks: int, events: int = 5) -> Segments:
    """Tracks of random length in module 0, some within the margins of an anode."""
    rng = np.random.default_rng(seed)
    return Segments.concatenate(
        [
            straight_track(
                event=int(i % events),
                traj=i,
                start=rng.uniform([-20, -60, -28], [20, 20, 28]),
                direction=rng.normal(size=3) * [1, 1, 0.2],
                segments=int(rng.integers(1, 30)),
                step=0.5,
                pdg=int(rng.choice([13, 211, 2212])),
            )
            for i in range(tracks)
        ]
    )
