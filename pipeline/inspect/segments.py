"""What a table of segments holds, and what is wrong or suspicious in it.

A rule is one function from a `View` of the segments to findings, and one line in `RULES` that says which columns it
needs. The rules by which commands refuse, drop or repair are those of `pipeline.checks`; only their words are here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .. import checks as rules
from ..config.models import Checks
from ..detector.geometry import DetectorGeometry
from ..matter.particles import charge, name_of
from ..storage.segments import RawSegments
from ..tables import Segments
from . import times as clock
from .energy_loss import energy_loss
from .findings import Finding, Summary, counted, event_numbers, faults, in_order, numbered, spread
from .view import View

#: A jump between consecutive deposits of a track that is worth a word [cm].
GAP_CM = 2.0
#: Deposits so much later than the first of their event are not of the same drift [us]: the default of `select`.
LATE_US = 1000.0


def summarise(
    raw: RawSegments,
    path: str,
    *,
    checks: Checks,
    geometry: DetectorGeometry | None,
    late: float | None = LATE_US,
    provenance: tuple[tuple[str, str], ...] = (),
) -> Summary:
    """What a file of segments holds and what there is to say against it."""
    s = raw.segments
    found = faults(raw.faults, path)
    numbers = [fault for fault in rules.number_faults(s) if fault.split(" ")[0] not in raw.absent]
    advice = ": mend or remove these rows." if len(s) else "; make it again."
    found += [Finding("error", "numbers", fault.rstrip(".") + advice) for fault in numbers]
    found += [Finding("note", "reading", note.removeprefix(f"{path}: ").rstrip(".") + ".") for note in raw.notes]
    good = rules.meaningful(s)
    view = View(s.take(good), np.flatnonzero(good), checks, geometry, late or np.inf)
    if len(view.segments):
        for rule, needs in RULES:
            if not raw.absent.intersection(needs):
                found += rule(view)
        if not raw.absent.intersection(_SPACE) and all(f.rule != "mostly_outside" for f in found):
            found += list(_left(view))
    axis = "x" if geometry is None else geometry.drift_axis
    facts = (("format", raw.layout), *_facts(s, raw, axis), *provenance)
    return Summary("segments", facts, in_order(found))


def _facts(s: Segments, raw: RawSegments, drift_axis: str) -> Iterator[tuple[str, str]]:
    yield "frame", f"{raw.frame}; drift along {drift_axis}"
    yield "segments", f"{len(s):,}"
    if not len(s):
        return
    events = np.unique(s.event_id)
    empty = "" if raw.entries is None else f" with deposits, of {raw.entries} in the file"
    yield "events", f"{len(events):,} ({event_numbers(events)}){empty}"
    tracks = int(s.track_index().max()) + 1
    length = float(np.nansum(s.length))
    yield "tracks", f"{tracks:,}, {length:.1f} cm in all, {length / tracks:.3g} cm on average"
    if "pdg_id" not in raw.absent:
        yield "species", _species(s)
    # The axes as the file has them: those of the tables, with x and z exchanged where the drift is along x.
    order = (2, 1, 0) if drift_axis == "x" else (0, 1, 2)
    for axis, column in zip("xyz", order, strict=True):
        ends = np.concatenate([s.start[:, column], s.end[:, column]])
        finite = ends[np.isfinite(ends)]
        span = f"{finite.min():.3f} to {finite.max():.3f} cm" if len(finite) else "no finite number"
        yield f"{axis} in the file", span + (" (drift)" if axis == drift_axis else "")
    yield "dE", f"{spread(s.dE, 'MeV')}; {np.nansum(s.dE):.5g} MeV in all"
    yield "dx", spread(s.dx, "cm")
    yield "dE/dx", spread(s.dEdx, "MeV/cm")
    yield "times", spread(s.t0, "us")


def _species(s: Segments) -> str:
    """Species by deposits, the most frequent first."""
    codes, counts = np.unique(s.pdg_id, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    texts = [f"{_name(int(codes[i]))} {counts[i]:,}" for i in order[:8]]
    if len(order) > 8:
        texts.append(f"{len(order) - 8} more with {counts[order[8:]].sum():,}")
    return ", ".join(texts)


def _name(code: int) -> str:
    return "unknown (0)" if code == 0 else name_of(code) or f"PDG {code}"


def _left(view: View) -> Iterator[Finding]:
    """An error where the checks would drop every segment, which makes a command refuse the file."""
    s, c = view.segments, view.checks
    keep = np.ones(len(s), dtype=np.bool_)
    if c.zero_length == "drop":
        keep &= s.length > 0
    if c.inconsistent_length == "drop":
        keep &= ~(rules.inconsistent_length(s) | rules.inconsistent_stopping(s))
    if view.geometry is not None and c.outside_volume == "drop":
        keep &= view.geometry.active(s)
    if not keep.any():
        yield Finding(
            "error", "nothing_left", "the checks leave no segment; see the findings about lengths and volume."
        )


def zero_length(view: View) -> list[Finding]:
    """Segments that start where they end."""
    return view.settled("zero_length", view.segments.length == 0, "start where they end")


def lengths(view: View) -> list[Finding]:
    """Stated lengths that are not the distance from start to end."""
    s = view.segments
    bad = rules.inconsistent_length(s) & (s.length > 0)
    ratio = np.median(s.dx[bad] / s.length[bad]) if bad.any() else 1.0
    cause = f"; dx is {ratio:.3g} times |end - start| in the median" if abs(ratio - 1) > 0.05 else ""
    return view.settled("inconsistent_length", bad, "have a dx that differs from |end - start|", cause)


def stopping(view: View) -> list[Finding]:
    """Stated dE/dx that is not dE over dx."""
    s = view.segments
    # What a wrong dx explains has been said.
    bad = rules.inconsistent_stopping(s) & (s.length > 0) & ~rules.inconsistent_length(s)
    return view.settled("inconsistent_length", bad, "have a dEdx that differs from dE/dx")


def volume(view: View) -> list[Finding]:
    """Segments outside the detector, with a guess at why."""
    if view.geometry is None:
        return []
    kept = view.take(view.segments.length > 0)
    s, geometry = kept.segments, view.geometry
    outside = ~geometry.active(s)
    if not outside.any():
        return []
    guess = rules.guess_cause(s, geometry)
    what = f"have their centre outside the active volume of {geometry.name}"
    if view.checks.mostly_outside == "refuse" and 2 * np.count_nonzero(outside) > len(s):
        refused = "that is more than half, and commands refuse the file (checks.mostly_outside)"
        cause = guess or "is it the right detector.file?"
        return kept.rows_that("error", "mostly_outside", outside, what, f"{refused}: {cause}")
    return kept.settled("outside_volume", outside, what, f"; {guess}" if guess else "")


def cathode(view: View) -> list[Finding]:
    """Segments between the drift volumes, whose charge goes nowhere."""
    if view.geometry is None:
        return []
    s = view.segments
    inside = view.geometry.active(s) & (view.geometry.tpc_of(s.centre) < 0)
    advice = "they give no hits, so nothing has to be done."
    return view.rows_that("note", "cathode", inside, "lie within the cathode, between the drift volumes", advice)


def no_energy(view: View) -> list[Finding]:
    """Segments that deposit nothing."""
    bad = view.segments.dE == 0
    return view.rows_that("note", "no_energy", bad, "have dE = 0", "they give no hits and may be left out.")


def unknown_species(view: View) -> list[Finding]:
    """Codes that no particle has, and particles that cannot ionise."""
    s = view.segments
    codes = [int(code) for code in np.unique(s.pdg_id)]
    strange = [code for code in codes if code and name_of(code) is None]
    neutral = [code for code in codes if charge(code) == 0]
    found = view.rows_that(
        "warning",
        "unknown_species",
        np.isin(s.pdg_id, strange),
        f"have a PDG code that no particle has ({numbered(strange)})",
        "is the column of species the right one?",
    )
    found += view.rows_that(
        "note",
        "species_zero",
        s.pdg_id == 0,
        "are of no known species (pdg_id 0)",
        "a cut on species drops them.",
    )
    names = ", ".join(_name(code) for code in neutral[:5])
    what = f"are of a species without charge ({names})"
    advice = "their energy was left by something that the file does not follow; a cut on species can drop them."
    return found + view.rows_that("note", "neutral_species", np.isin(s.pdg_id, neutral), what, advice)


def repeated_rows(view: View) -> list[Finding]:
    """Rows that stand in the file more than once."""
    s = view.segments
    whole = np.stack([s.event_id, s.traj_id, s.pdg_id], axis=1).astype(np.float64)
    # Adding zero makes one zero of both.
    rows = np.concatenate([whole, s.start, s.end, s.dE[:, None], s.t0[:, None]], axis=1) + 0.0
    key = np.ascontiguousarray(rows).view([("", rows.dtype)] * rows.shape[1]).reshape(-1)
    _, first = np.unique(key, return_index=True)
    again = np.ones(len(s), dtype=np.bool_)
    again[first] = False
    advice = "their charge counts twice: was the file joined with itself? Keep one of each."
    return view.rows_that("warning", "repeated_rows", again, "repeat another row in every number", advice)


def repeated_ids(view: View) -> list[Finding]:
    """Numbers of segments that stand for several of an event, and events that come back later in the file."""
    s = view.segments
    pairs = np.stack([s.event_id, s.segment_id], axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)
    again = np.ones(len(s), dtype=np.bool_)
    again[first] = False
    what = "have a segment_id that another segment of the event has"
    advice = "nothing here uses it, but links of other programs to it are ambiguous."
    found = view.rows_that("note", "repeated_ids", again, what, advice)
    begins = np.flatnonzero(np.diff(s.event_id, prepend=s.event_id[0] - 1))
    _, known = np.unique(s.event_id[begins], return_index=True)
    returns = np.ones(len(begins), dtype=np.bool_)
    returns[known] = False
    if returns.any():
        where = begins[returns]
        found.append(
            Finding(
                "warning",
                "repeated_events",
                f"{counted(len(np.unique(s.event_id[where])), 'event')} found in several places of the file, "
                f"the first again in row {view.rows[where[0]]} (event {s.event_id[where[0]]}); were files joined whose "
                "events have the same numbers? Their deposits would drift together: number them anew.",
            )
        )
    return found


def empty_events(view: View) -> list[Finding]:
    """Numbers of events that are left out between the first and the last."""
    events = np.unique(view.segments.event_id)
    span = int(events[-1]) - int(events[0]) + 1
    if span == len(events):
        return []
    gaps = np.flatnonzero(np.diff(events) > 1)
    missing = [int(n) for i in gaps[:6] for n in range(int(events[i]) + 1, min(int(events[i + 1]), int(events[i]) + 7))]
    shown = numbered(missing[:5])
    more = f" and {span - len(events) - 5:,} more" if span - len(events) > 5 else ""
    text = (
        f"{span - len(events):,} of the {span:,} event numbers from {events[0]} to {events[-1]} without a segment "
        f"({shown}{more}); such events are empty, or were left out."
    )
    return [Finding("note", "empty_events", text)]


def gaps(view: View) -> list[Finding]:
    """Jumps between consecutive deposits of one track."""
    s = view.segments
    track = s.track_index()
    order = np.argsort(track, kind="stable")
    same = np.diff(track[order]) == 0
    before, after = order[:-1][same], order[1:][same]
    # A file may hold a track from its end to its start: only the nearest ends count.
    jump = np.min(
        [np.linalg.norm(a[after] - b[before], axis=1) for a in (s.start, s.end) for b in (s.start, s.end)], axis=0
    )
    wide = jump > GAP_CM
    if not wide.any():
        return []
    tracks = len(np.unique(track[after[wide]]))
    worst = np.argmax(jump)
    text = (
        f"{counted(int(wide.sum()), 'gap')} of over {GAP_CM:g} cm between consecutive segments, in "
        f"{tracks:,} of {int(track.max()) + 1:,} tracks, the widest {jump[worst]:.4g} cm before row "
        f"{view.rows[after[worst]]}; material that is not read out, neutral parents or a selection leave such gaps."
    )
    return [Finding("note", "gaps", text, float(np.mean(wide)))]


def losses(view: View) -> list[Finding]:
    """Energy loss that the species cannot have."""
    return energy_loss(view.segments, view.rows)


_SPACE = ("x_start", "y_start", "z_start", "x_end", "y_end", "z_end")
_TRACK = ("event_id", "traj_id")
#: Every rule with the columns that it needs.
RULES: tuple[tuple[Callable[[View], list[Finding]], tuple[str, ...]], ...] = (
    (volume, _SPACE),
    (zero_length, _SPACE),
    (lengths, (*_SPACE, "dx")),
    (stopping, (*_SPACE, "dE", "dx", "dEdx")),
    (losses, (*_SPACE, *_TRACK, "dE", "pdg_id")),
    (clock.speed, (*_SPACE, "t0", "t0_start", "t0_end")),
    (clock.times, (*_TRACK, "t0", "t0_start", "t0_end")),
    (repeated_rows, (*_SPACE, *_TRACK, "dE", "t0")),
    (repeated_ids, ("event_id",)),
    (unknown_species, ("pdg_id",)),
    (clock.late, ("event_id", "t0")),
    (cathode, _SPACE),
    (no_energy, ("dE",)),
    (gaps, (*_SPACE, *_TRACK)),
    (empty_events, ("event_id",)),
)
