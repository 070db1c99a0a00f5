"""Reconstructed tracks beside the true particles that they match: one row per particle, track, hit, place, window and
piece, from which the study `reconstruction` makes its curves.

Every table has `(n,)` columns. `group` numbers the particle, whose rows are not independent; `cos_drift` is the
cosine to the drift (0 ... 1), `drift` [cm] the distance to the anode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from ..tables import Bools, Floats, Ints

T = TypeVar("T")


@dataclass(frozen=True)
class ParticleRows:
    """True particles. `length` [cm]; `hits`; `found`, `share` of hits, `purity` of its best track; `collected` [e] by
    pixels, and `charge` [e] of the segments of its track; `start_gap`, `end_gap` [cm] of the curve beyond the true
    ends (negative: too short), `start_off`, `end_off` [cm] beside them; NaN where it was not found. `track` is the row
    of its best track among those of its events, -1: none.
    """

    group: Ints
    event_id: Ints
    traj_id: Ints
    pdg_id: Ints
    length: Floats
    hits: Ints
    cos_drift: Floats
    drift: Floats
    found: Bools
    share: Floats
    purity: Floats
    track: Ints
    collected: Floats
    charge: Floats
    start_gap: Floats
    end_gap: Floats
    start_off: Floats
    end_off: Floats


@dataclass(frozen=True)
class TrackRows:
    """Reconstructed tracks. `length` [cm]; `hits`; `purity`; `main`: whether it is the match of a particle; `pdg_id`
    of the particle that owns most of its hits, 0: nobody.
    """

    event_id: Ints
    track_id: Ints
    length: Floats
    hits: Ints
    cos_drift: Floats
    drift: Floats
    purity: Floats
    main: Bools
    pdg_id: Ints


@dataclass(frozen=True)
class HitRows:
    """Hits of true particles. `kept`: whether the hit is in the track that matches its particle."""

    group: Ints
    cos_drift: Floats
    drift: Floats
    kept: Bools


@dataclass(frozen=True)
class PlaceRows:
    """Centres of true segments of found particles. From there to the nearest place on the curve [cm]: `x`, `y`, and
    `away` from the anode; `across`, in the anode plane, and `deep`, in the plane of track and drift, are perpendicular
    to the curve. `beyond`: past its ends, where the others say nothing.
    """

    group: Ints
    cos_drift: Floats
    drift: Floats
    x: Floats
    y: Floats
    away: Floats
    across: Floats
    deep: Floats
    beyond: Bools


@dataclass(frozen=True)
class WindowRows:
    """Pieces of the true path of found particles, all of one length. `angle` [rad] between the straight lines through
    piece and curve beside it; NaN where the curve has not half of it.
    """

    group: Ints
    cos_drift: Floats
    drift: Floats
    angle: Floats


@dataclass(frozen=True)
class LossRows:
    """Reconstructed segments of found particles that the true path covers. dE/dx [MeV/cm], reconstructed: of the
    track's own hits, `measured`, and with what was found beside them, `with_knocked`; true: of the particle `alone`,
    with what of all it knocked out is in the hits of the track, `held`, and with all of it, `true`.
    """

    group: Ints
    cos_drift: Floats
    drift: Floats
    measured: Floats
    with_knocked: Floats
    alone: Floats
    held: Floats
    true: Floats


@dataclass(frozen=True)
class Performance:
    """All tables."""

    particles: ParticleRows
    tracks: TrackRows
    hits: HitRows
    places: PlaceRows
    windows: WindowRows
    losses: LossRows

    @staticmethod
    def concatenate(parts: Sequence[Performance]) -> Performance:
        """The rows of all parts."""
        return Performance(**{f.name: join([getattr(p, f.name) for p in parts]) for f in fields(Performance)})


def join(parts: Sequence[T]) -> T:
    """The rows of all parts, which are of one kind."""
    kind = type(parts[0])
    return kind(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(kind)})  # type: ignore[arg-type]
