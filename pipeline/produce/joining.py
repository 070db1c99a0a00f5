"""From steps to energy deposits, by edep-sim's rule for joining them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..tables import Bools, Floats, Ints, Segments
from .flight import Flock

if TYPE_CHECKING:
    from .transport import Steps


@dataclass(frozen=True)
class Joining:
    """edep-sim's numbers. A step joins the deposit before it if that stays no longer than `length` [cm] and its sagitta
    within `sagitta` [cm]; a struck electron that goes no further than `reach` [cm] belongs to the deposit where it
    began. All 0: every step is a deposit."""

    length: float = 0.3
    sagitta: float = 0.1
    reach: float = 0.1


#: Every step a deposit of its own.
RAW = Joining(0.0, 0.0, 0.0)


def join_steps(steps: Steps, born: Flock, number: Ints, parent: Ints, birth: Ints, joining: Joining) -> Segments:
    """Deposits from steps, sorted by event, trajectory and time; energy is conserved.

    `born` are all particles by track, `number` `(tracks,)` their numbers in their events, `parent` their parents'
    tracks, `birth` the step at whose end each began (-1: none that could take it in).
    """
    energy = steps.energy.copy()
    absorbed = np.zeros(len(energy), dtype=np.bool_)
    if joining.reach > 0:
        absorbed = _absorbed(steps, birth, joining.reach, energy)
    # A step that lost nothing itself may have taken in an electron.
    rows = np.flatnonzero((energy > 0) & ~absorbed)
    # Steps of a track were noted in the order of time.
    rows = rows[np.lexsort((rows, number[steps.track[rows]], born.event[steps.track[rows]]))]
    deposit = _deposits(steps, rows, joining)
    first = np.flatnonzero(np.r_[True, np.diff(deposit) != 0]) if len(rows) else rows
    last = np.r_[first[1:] - 1, len(rows) - 1] if len(rows) else rows
    return _segments(
        steps, born, number, rows[first], rows[last], np.bincount(deposit, energy[rows], len(first)).astype(np.float64)
    )


def _absorbed(steps: Steps, birth: Ints, reach: float, energy: Floats) -> Bools:
    """`(steps,)` whether a step is one of an electron that stays within `reach`; adds its energy to where it began."""
    tracks = len(birth)
    began = birth >= 0
    origin = np.zeros((tracks, 3))
    origin[began] = steps.end[birth[began]]
    far = np.linalg.norm(steps.end - origin[steps.track], axis=1)
    furthest = np.zeros(tracks)
    np.maximum.at(furthest, steps.track, far)
    # An electron that struck another that goes further stays a particle, so that every deposit has its own.
    taken = began & (furthest <= reach)
    struck = np.flatnonzero(began & ~taken)
    taken[steps.track[birth[struck]]] = False
    mine = np.flatnonzero(taken[steps.track])
    # Electrons struck by electrons come later: the youngest first give their energy to the older.
    order = mine[np.argsort(-steps.track[mine], kind="stable")]
    total = np.bincount(steps.track[mine], energy[mine], minlength=tracks)
    for track in np.unique(steps.track[order])[::-1]:
        target = birth[track]
        if taken[steps.track[target]]:
            total[steps.track[target]] += total[track]
        else:
            energy[target] += total[track]
    return np.asarray(taken[steps.track])


def _deposits(steps: Steps, rows: Ints, joining: Joining) -> Ints:
    """Number of the deposit that each step goes to, `(rows,)`, counted from 0 in the order of `rows`."""
    n = len(rows)
    new = np.ones(n, dtype=np.bool_)
    if joining.length > 0 and n:
        track, volume = steps.track[rows], steps.volume[rows]
        start, end, path = steps.start[rows], steps.end[rows], steps.path[rows]
        head = np.r_[True, np.diff(track) != 0]
        place = np.arange(n) - np.maximum.accumulate(np.where(head, np.arange(n), 0))
        touches = np.r_[False, (volume[1:] == volume[:-1]) & (np.abs(start[1:] - end[:-1]).max(axis=1) < 1e-9)]
        # The k-th step of all tracks at a time; `begin` and `length` are those of the deposit that is open.
        begin, length = start.copy(), path.copy()
        by_place = np.argsort(place, kind="stable")
        edges = np.searchsorted(place[by_place], np.arange(place.max() + 2))
        for k in range(1, int(place.max()) + 1):
            at = by_place[edges[k] : edges[k + 1]]
            chord = np.linalg.norm(end[at] - begin[at - 1], axis=1)
            whole = length[at - 1] + path[at]
            # A bow of this length over this chord rises at most so high.
            sagitta = 0.5 * np.sqrt(np.maximum(whole**2 - chord**2, 0.0))
            joins = touches[at] & (chord <= joining.length) & (sagitta <= joining.sagitta)
            new[at] = ~joins
            begin[at[joins]], length[at[joins]] = begin[at[joins] - 1], whole[joins]
    return np.cumsum(new) - 1


def _segments(steps: Steps, born: Flock, number: Ints, first: Ints, last: Ints, energy: Floats) -> Segments:
    track = steps.track[first]
    start, end = steps.start[first], steps.end[last]
    length = np.linalg.norm(end - start, axis=1)
    # Only steps of some eV are this short; a deposit needs an extent.
    short = np.flatnonzero(length < 1e-7)
    end[short, 0] += 1e-6
    length[short] = np.linalg.norm(end[short] - start[short], axis=1)
    t0, t1 = steps.t0[first], steps.t1[last]
    return Segments(
        event_id=born.event[track],
        vertex_id=born.vertex[track],
        segment_id=np.arange(len(first)),
        traj_id=number[track],
        pdg_id=born.pdg_id[track],
        start=start,
        end=end,
        t0=0.5 * (t0 + t1),
        t0_start=t0,
        t0_end=t1,
        dE=energy.astype(np.float64),
        dx=length,
        dEdx=energy / length,
    )
