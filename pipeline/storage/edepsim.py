"""Reading the `EDepSimEvents` tree of edep-sim (https://github.com/ClarkMcGrew/edep-sim).

Each entry of a branch is read as raw bytes and decoded by `pipeline.storage.tg4_bytes`: uproot itself cannot interpret
the map of hit segments, which stands in files in three layouts (whole, object by object or member by member; or split).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from ..errors import FileFormatError, GradcalError
from ..names import nearest
from ..tables import Ints, Segments
from . import tg4_bytes

TREE = "EDepSimEvents"
_MM = 0.1  # cm
_NS = 1e-3  # us

T = TypeVar("T")


def read_edepsim(
    path: Path,
    sensitive_detectors: Sequence[str] = (),
    event_number: Literal["EventId", "entry"] = "EventId",
) -> tuple[Segments, list[str]]:
    """All energy deposits of an edep-sim ROOT file, in the file's frame, with warnings.

    mm and ns become cm and us; the track of a segment is its first contributor, its species that trajectory's PDG code;
    `dx` is the distance from start to end; `t0` the mean of start and end time; `vertex_id` is 0. `sensitive_detectors`
    empty reads all of them. Raises `FileFormatError`.
    """
    tree, close = _guard(path, lambda: _open(path))
    try:
        return _read_tree(path, tree, sensitive_detectors, event_number)
    finally:
        close()


def layout_of(path: Path) -> tuple[str, int]:
    """How the deposits of an edep-sim ROOT file are stored, in words, and its number of events (with empty ones).

    Raises `FileFormatError`.
    """
    tree, close = _guard(path, lambda: _open(path))
    try:
        _guard(path, lambda: _require_branches(path, tree))
        return _guard(path, lambda: _layout(tree)), int(tree.num_entries)
    finally:
        close()


def _layout(tree: Any) -> str:
    import uproot

    if "SegmentDetectors.first" in {key.split("/")[-1] for key in tree.keys(recursive=True)}:
        return "edep-sim ROOT, split branches"
    first = tree["SegmentDetectors"].array(uproot.AsJagged(uproot.AsDtype("u1")), entry_stop=1)[0]
    how = "member by member" if tg4_bytes.is_member_wise(np.asarray(first, np.uint8).tobytes()) else "object by object"
    return f"edep-sim ROOT, whole branches, {how}"


def _open(path: Path) -> tuple[Any, Callable[[], None]]:
    import uproot

    # A mapping, so that a colon in the name is not taken for a path inside the file.
    file = uproot.open({path: None})
    size = path.stat().st_size
    if size < file.file.fEND:
        file.close()
        raise FileFormatError(f"{path} is truncated ({size} of {file.file.fEND} bytes); copy or make it again.")
    names = sorted({key.split(";")[0] for key in file.keys()})  # noqa: SIM118
    if TREE not in names:
        file.close()
        there = ", ".join(names) or "nothing"
        raise FileFormatError(f"{path} has no tree {TREE} (there is: {there}); give the file that edep-sim wrote.")
    return file[TREE], file.close


def _guard(path: Path, work: Callable[[], T]) -> T:
    """Turn whatever uproot raises on foreign or damaged files (it has no common base class) into one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work()
    except (GradcalError, MemoryError):
        raise
    except Exception as error:
        detail = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".: ")
        raise FileFormatError(
            f"{path}: damaged, truncated or foreign ROOT file ({detail[:120]}); make or copy it again."
        ) from error


def _read_tree(
    path: Path, tree: Any, sensitive_detectors: Sequence[str], event_number: Literal["EventId", "entry"]
) -> tuple[Segments, list[str]]:
    _guard(path, lambda: _require_branches(path, tree))
    numbers = _guard(path, lambda: event_numbers(path, tree, event_number))
    maps = _guard(path, lambda: list(_detector_maps(path, tree)))
    known = sorted({name for found in maps for name in found})
    notes: list[str] = []
    if not known:
        raise FileFormatError(f"{path}: no event holds an energy deposit; give a file with deposits in a detector.")
    for name in sensitive_detectors:
        if name not in known:
            raise FileFormatError(
                f"{path}: no sensitive detector {name!r}; did you mean {nearest(name, known)!r}? "
                f"The file has: {', '.join(known)}."
            )
    if not sensitive_detectors:
        notes.append(f"{path}: reading all sensitive detectors: {', '.join(known)}")
    wanted = set(sensitive_detectors or known)
    entry: list[Ints] = []
    hits: list[tg4_bytes.HitSegments] = []
    for i, found in enumerate(maps):
        for name, part in found.items():
            if name in wanted:
                entry.append(np.full(len(part), i, dtype=np.int64))
                hits.append(part)
    every, entries = tg4_bytes.HitSegments.concatenate(hits), np.concatenate(entry)
    trajectories = _guard(path, lambda: _trajectories(path, tree))
    pdg, unknown = match_species(entries, every.contributor, *trajectories)
    if unknown:
        notes.append(
            f"{path}: {unknown} of {len(every)} segments name a track that has no trajectory; their pdg_id is 0"
        )
    return _segments(numbers[entries], every, pdg), notes


def _require_branches(path: Path, tree: Any) -> None:
    there = {key.split("/")[-1] for key in tree.keys(recursive=True)}
    missing = [name for name in ("EventId", "Trajectories", "SegmentDetectors") if name not in there]
    if missing:
        raise FileFormatError(
            f"{path}: the tree {TREE} has no {', '.join(missing)}; edep-sim writes it with an Event branch of TG4Event."
        )
    if tree.num_entries == 0:
        raise FileFormatError(f"{path}: the tree {TREE} has no events.")


def event_numbers(path: Path, tree: Any, event_number: Literal["EventId", "entry"]) -> Ints:
    """`(entries,)` number of each event; raises where `EventId` repeats."""
    if event_number == "entry":
        return np.arange(tree.num_entries, dtype=np.int64)
    numbers: Ints = tree["EventId"].array(library="np").astype(np.int64)
    values, counts = np.unique(numbers, return_counts=True)
    if counts.max() > 1:
        raise FileFormatError(
            f"{path}: EventId {values[counts.argmax()]} stands for {counts.max()} events (runs were merged); "
            "set sample.event_number to entry (`gradcal convert --event-number entry`)."
        )
    return numbers


def _raw(branch: Any) -> Iterator[bytes]:
    """The bytes of each entry of a branch."""
    import awkward as ak
    import uproot

    array = branch.array(uproot.AsJagged(uproot.AsDtype("u1")))
    content = np.asarray(ak.flatten(array), dtype=np.uint8).tobytes()
    ends = np.cumsum(np.asarray(ak.num(array)))
    begin = 0
    for end in ends.tolist():
        yield content[begin:end]
        begin = end


def _detector_maps(path: Path, tree: Any) -> Iterator[dict[str, tg4_bytes.HitSegments]]:
    """Deposits by detector name, event by event, in whichever layout the file has."""
    names = {key.split("/")[-1] for key in tree.keys(recursive=True)}
    if "SegmentDetectors.first" in names:
        keys, values = _raw(tree["SegmentDetectors.first"]), _raw(tree["SegmentDetectors.second"])
        for i, (first, second) in enumerate(zip(keys, values, strict=True)):
            yield tg4_bytes.split_detector_map(first, second, f"{path}, entry {i}, SegmentDetectors")
    else:
        for i, raw in enumerate(_raw(tree["SegmentDetectors"])):
            yield tg4_bytes.detector_map(raw, f"{path}, entry {i}, SegmentDetectors")


def _trajectories(path: Path, tree: Any) -> tuple[Ints, Ints, Ints]:
    """Entry, track id and PDG code of every trajectory of the file."""
    names = {key.split("/")[-1] for key in tree.keys(recursive=True)}
    if "Trajectories.TrackId" in names:
        pairs = [
            (np.frombuffer(ids, ">i4").astype(np.int64), np.frombuffer(codes, ">i4").astype(np.int64))
            for ids, codes in zip(_raw(tree["Trajectories.TrackId"]), _raw(tree["Trajectories.PDGCode"]), strict=True)
        ]
    else:
        pairs = [
            tg4_bytes.trajectory_species(raw, f"{path}, entry {i}, Trajectories")
            for i, raw in enumerate(_raw(tree["Trajectories"]))
        ]
    entry = np.repeat(np.arange(len(pairs)), [len(ids) for ids, _ in pairs])
    return entry, np.concatenate([ids for ids, _ in pairs]), np.concatenate([codes for _, codes in pairs])


def match_species(
    entry: Ints, track: Ints, trajectory_entry: Ints, trajectory_id: Ints, trajectory_pdg: Ints
) -> tuple[Ints, int]:
    """PDG code of the trajectory that each segment names, 0 where there is none, and how many those are.

    Matched by value, not by position: `TrackId` equals the position in edep-sim's own output, but filtered files exist.
    """
    pdg = np.zeros(len(track), dtype=np.int64)
    if len(trajectory_id) == 0:
        return pdg, len(track)
    lowest = min(int(track.min()), int(trajectory_id.min()))
    width = max(int(track.max()), int(trajectory_id.max())) - lowest + 1
    key = entry * width + (track - lowest)
    trajectory_key = trajectory_entry * width + (trajectory_id - lowest)
    order = np.argsort(trajectory_key, kind="stable")
    position = np.minimum(np.searchsorted(trajectory_key, key, sorter=order), len(order) - 1)
    match = order[position]
    found = trajectory_key[match] == key
    pdg[found] = trajectory_pdg[match[found]]
    return pdg, int(np.count_nonzero(~found))


def _segments(event: Ints, hits: tg4_bytes.HitSegments, pdg: Ints) -> Segments:
    start, end = hits.start[:, :3] * _MM, hits.stop[:, :3] * _MM
    t0_start, t0_end = hits.start[:, 3] * _NS, hits.stop[:, 3] * _NS
    dx = np.linalg.norm(end - start, axis=1)
    return Segments(
        event_id=event,
        vertex_id=np.zeros(len(hits), dtype=np.int64),
        segment_id=np.arange(len(hits), dtype=np.int64),
        traj_id=hits.contributor,
        pdg_id=pdg,
        start=start,
        end=end,
        t0=0.5 * (t0_start + t0_end),
        t0_start=t0_start,
        t0_end=t0_end,
        dE=hits.dE,
        dx=dx,
        dEdx=np.divide(hits.dE, dx, out=np.zeros_like(dx), where=dx > 0),
    )
