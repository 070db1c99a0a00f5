"""Decoding of the members of edep-sim's `TG4Event` from the raw bytes of one tree entry.

ROOT streams are big-endian. A "byte count" is a u4 with bit 30 set that counts what follows it; bit 14 of the version
after it says that a container is stored member by member instead of object by object. Every function raises
`FileFormatError` where the bytes do not fit the layout, and where any are left over.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FileFormatError
from ..tables import Floats, Ints

_BYTE_COUNT = 0x40000000
_MEMBER_WISE = 0x4000
_CLASS_VERSION = 1
_TOBJECT = 10
_REFERENCED = 0x10
_VECTOR_SIZE = 64
_HIT_WITHOUT_CONTRIBUTORS = 170

_TOBJECT_TYPE = np.dtype([("version", ">u2"), ("unique", ">u4"), ("bits", ">u4")])
# TLorentzVector: byte count, version, TObject, then TVector3 with its own header, then t.
_VECTOR_TYPE = np.dtype([("count", ">u4"), ("rest", "V28"), ("x", ">f8"), ("y", ">f8"), ("z", ">f8"), ("t", ">f8")])
_PAIR_TYPE = np.dtype([("k", ">u4"), ("contributor", ">i4")])


def _hit_type(contributors: int) -> np.dtype[Any]:
    """One `TG4HitSegment` stored object by object."""
    return np.dtype(
        [
            ("count", ">u4"), ("version", ">u2"), ("object", _TOBJECT_TYPE),
            ("vector_count", ">u4"), ("vector_version", ">u2"), ("k", ">u4"), ("contributor", ">i4", (contributors,)),
            ("primary", ">i4"), ("dE", ">f4"), ("secondary", ">f4"), ("length", ">f4"),
            ("start", _VECTOR_TYPE), ("stop", _VECTOR_TYPE),
        ]
    )  # fmt: skip


@dataclass(frozen=True)
class HitSegments:
    """Deposits of one sensitive detector in one event, in edep-sim's units.

    Shapes `(n,)`, and `(n, 4)` for `start`, `stop` (x, y, z [mm], t [ns]); `dE` [MeV]; `contributor` is the first
    contributing track, -1 where none is stored.
    """

    contributor: Ints
    dE: Floats
    start: Floats
    stop: Floats

    def __len__(self) -> int:
        return len(self.dE)

    @staticmethod
    def concatenate(parts: list[HitSegments]) -> HitSegments:
        """All rows of `parts`, in order."""
        return HitSegments(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(HitSegments)})


class ByteReader:
    """Walks through the bytes of one tree entry; `where` names the file and entry in messages."""

    def __init__(self, raw: bytes, where: str) -> None:
        self.raw = raw
        self.where = where
        self.at = 0

    def wrong(self, what: str) -> FileFormatError:
        """The error for bytes that do not fit, with the position."""
        return FileFormatError(
            f"{self.where}: {what} at byte {self.at} of {len(self.raw)}; the file is damaged or its layout of TG4Event "
            "is not one of the three known ones."
        )

    def array(self, dtype: npt.DTypeLike, n: int) -> npt.NDArray[Any]:
        """The next `n` items of type `dtype`."""
        kind = np.dtype(dtype)
        if n * kind.itemsize > len(self.raw) - self.at:
            raise self.wrong(f"{n} items of {kind.itemsize} bytes announced, more than there are,")
        items = np.frombuffer(self.raw, kind, n, self.at)
        self.at += n * kind.itemsize
        return items

    def skip(self, n: int) -> None:
        """Pass over `n` bytes."""
        self.array("V1", n)

    def u4(self) -> int:
        """The next unsigned 32-bit integer."""
        return int(self.array(">u4", 1)[0])

    def u2(self) -> int:
        """The next unsigned 16-bit integer."""
        return int(self.array(">u2", 1)[0])

    def header(self) -> tuple[int, int]:
        """A byte count and version: position where the counted bytes end, and the version with its flag bit."""
        count = self.u4()
        end = self.at + (count & ~_BYTE_COUNT)
        if not count & _BYTE_COUNT or end > len(self.raw):
            raise self.wrong("a byte count was expected")
        return end, self.u2()

    def member_wise_header(self) -> int:
        """The header of a container stored member by member; returns where it ends."""
        end, version = self.header()
        if not version & _MEMBER_WISE:
            raise self.wrong("a container stored member by member was expected")
        if self.u2() == 0:
            self.skip(4)  # class version 0: a checksum follows
        return end

    def strings(self, n: int | None, end: int) -> list[str]:
        """`n` strings, or as many as stand before `end`."""
        found: list[str] = []
        while len(found) < n if n is not None else self.at < end:
            size = int(self.array("u1", 1)[0])
            if size == 255:
                size = self.u4()
            found.append(self.array("u1", size).tobytes().decode(errors="replace"))
        return found

    def must_be_at(self, end: int) -> None:
        """Raises unless exactly the bytes before `end` were used."""
        if self.at != end:
            raise self.wrong(f"{end - self.at} bytes left over")

    def tobjects(self, items: npt.NDArray[Any]) -> None:
        """Check the TObject parts: one with its reference bit set is two bytes longer than assumed."""
        if np.any(items["version"] != 1) or np.any(items["bits"] & _REFERENCED):
            raise self.wrong("a TObject part of unknown form")

    def vectors(self, items: npt.NDArray[Any]) -> Floats:
        """`(n, 4)` x, y, z, t of TLorentzVectors, after a check of their byte counts."""
        if np.any(items["count"] != _BYTE_COUNT + _VECTOR_SIZE - 4):
            raise self.wrong("a TLorentzVector of unknown form")
        return np.stack([items[name].astype(np.float64) for name in "xyzt"], axis=-1).reshape(-1, 4)


def is_member_wise(raw: bytes) -> bool:
    """Whether the map of one event that stands in one branch is stored member by member."""
    return bool(ByteReader(raw, "SegmentDetectors").header()[1] & _MEMBER_WISE)


def detector_map(raw: bytes, where: str) -> dict[str, HitSegments]:
    """`SegmentDetectors` of one event where the whole map stands in one branch."""
    reader = ByteReader(raw, where)
    end, version = reader.header()
    found: dict[str, HitSegments] = {}
    if version & _MEMBER_WISE:
        if reader.u2() == 0:
            reader.skip(4)
        n_keys = reader.u4()
        if n_keys:
            keys_end, _ = reader.header()
            names = reader.strings(n_keys, keys_end)
            reader.must_be_at(keys_end)
            found = _member_wise_values(reader, names)
    else:
        for _ in range(reader.u4()):
            (name,) = reader.strings(1, end)
            found[name] = _object_wise_hits(reader, reader.u4())
    reader.must_be_at(end)
    reader.must_be_at(len(raw))
    return found


def split_detector_map(keys: bytes, values: bytes, where: str) -> dict[str, HitSegments]:
    """`SegmentDetectors` of one event where keys and values stand in two branches."""
    if not keys and not values:
        return {}
    reader = ByteReader(keys, where)
    end, _ = reader.header()
    names = reader.strings(None, end)
    reader.must_be_at(len(keys))
    if not names and not values:
        return {}
    reader = ByteReader(values, where)
    found = _member_wise_values(reader, names)
    reader.must_be_at(len(values))
    return found


def trajectory_species(raw: bytes, where: str) -> tuple[Ints, Ints]:
    """Track ids and PDG codes of one event where `Trajectories` is one unsplit branch, stored member by member."""
    reader = ByteReader(raw, where)
    end = reader.member_wise_header()
    n = reader.u4()
    track_id = pdg = np.zeros(0, dtype=np.int64)
    if n:
        reader.tobjects(reader.array(_TOBJECT_TYPE, n))
        points_end, _ = reader.header()
        reader.skip(points_end - reader.at)
        track_id = reader.array(">i4", n).astype(np.int64)
        reader.skip(4 * n)  # ParentId
        names_end, _ = reader.header()
        reader.skip(names_end - reader.at)
        pdg = reader.array(">i4", n).astype(np.int64)
        reader.skip(_VECTOR_SIZE * n)  # InitialMomentum
    reader.must_be_at(end)
    reader.must_be_at(len(raw))
    return track_id, pdg


def _member_wise_values(reader: ByteReader, names: list[str]) -> dict[str, HitSegments]:
    """The values of a map stored member by member, with their header."""
    end = reader.member_wise_header()
    found = {name: _member_wise_hits(reader, reader.u4()) for name in names}
    reader.must_be_at(end)
    return found


def _member_wise_hits(reader: ByteReader, n: int) -> HitSegments:
    """`n` hit segments, each member of all of them after another; no bytes follow n = 0."""
    if n == 0:
        return _no_hits()
    reader.tobjects(reader.array(_TOBJECT_TYPE, n))
    end, _ = reader.header()
    contributor = _first_contributors(reader, n, end)
    reader.must_be_at(end)
    reader.skip(4 * n)  # PrimaryId
    deposit = reader.array(">f4", n).astype(np.float64)
    reader.skip(8 * n)  # SecondaryDeposit, TrackLength
    start = reader.vectors(reader.array(_VECTOR_TYPE, n))
    stop = reader.vectors(reader.array(_VECTOR_TYPE, n))
    return HitSegments(contributor, deposit, start, stop)


def _first_contributors(reader: ByteReader, n: int, end: int) -> Ints:
    """First entry of each of `n` contributor lists, -1 for an empty one."""
    if end - reader.at == n * _PAIR_TYPE.itemsize:
        here = reader.at
        pairs = reader.array(_PAIR_TYPE, n)
        if np.all(pairs["k"] == 1):
            return pairs["contributor"].astype(np.int64)
        reader.at = here
    first = np.full(n, -1, dtype=np.int64)
    for i in range(n):
        listed = reader.array(">i4", reader.u4())
        if len(listed):
            first[i] = listed[0]
    return first


def _object_wise_hits(reader: ByteReader, n: int) -> HitSegments:
    """`n` hit segments one after another; their size depends on the number of contributors."""
    if n * _HIT_WITHOUT_CONTRIBUTORS > len(reader.raw) - reader.at:
        raise reader.wrong(f"{n} hit segments announced, more than there are bytes for,")
    edges = [reader.at]
    for _ in range(n):
        # Past the end this reads 0: the size is then too small for a hit segment.
        count = int.from_bytes(reader.raw[edges[-1] : edges[-1] + 4])
        edges.append(edges[-1] + 4 + (count & ~_BYTE_COUNT))
    if edges[-1] > len(reader.raw):
        raise reader.wrong("the bytes end inside a hit segment")
    reader.at = edges[-1]
    if n == 0:
        return _no_hits()
    offset, size = np.array(edges[:-1]), np.diff(edges)
    everything = np.frombuffer(reader.raw, np.uint8)
    hits = HitSegments(np.zeros(n, np.int64), np.zeros(n), np.zeros((n, 4)), np.zeros((n, 4)))
    for one_size in np.unique(size):
        rows = np.nonzero(size == one_size)[0]
        contributors, rest = divmod(int(one_size) - _HIT_WITHOUT_CONTRIBUTORS, 4)
        if rest or contributors < 0:
            raise reader.wrong(f"a hit segment of {one_size} bytes")
        block = everything[offset[rows, None] + np.arange(one_size)].view(_hit_type(contributors))[:, 0]
        if np.any(block["version"] != _CLASS_VERSION) or np.any(block["k"] != contributors):
            raise reader.wrong("a hit segment of unknown form")
        reader.tobjects(block["object"])
        hits.contributor[rows] = block["contributor"][:, 0] if contributors else -1
        hits.dE[rows] = block["dE"]
        hits.start[rows] = reader.vectors(block["start"])
        hits.stop[rows] = reader.vectors(block["stop"])
    return hits


def _no_hits() -> HitSegments:
    return HitSegments(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 4)), np.zeros((0, 4)))
