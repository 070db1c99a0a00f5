"""Byte layouts of TG4Event, written here from ROOT's rules and decoded by the reader."""

import struct

import numpy as np
import pytest

from pipeline.errors import FileFormatError
from pipeline.storage.tg4_bytes import HitSegments, detector_map, split_detector_map, trajectory_species

TOBJECT = struct.pack(">HII", 1, 0, 0x3000000)

# contributors, dE, start (x, y, z, t), stop
HITS = [
    ([7], 1.5, (1.0, 2.0, 3.0, 4.0), (5.0, 6.0, 7.0, 8.0)),
    ([], 0.25, (-1.0, -2.0, -3.0, 0.0), (0.0, 0.0, 0.0, 0.5)),
    ([3, 9, 1], 2.75, (1e3, 2e3, 3e3, 4e3), (5e3, 6e3, 7e3, 8e3)),
]
MAP = {"volTPCActive": HITS, "empty": [], "a name that is very long" * 12: HITS[:1] * 2}


def counted(content: bytes) -> bytes:
    return struct.pack(">I", 0x40000000 | len(content)) + content


def string(text: str) -> bytes:
    raw = text.encode()
    return (bytes([len(raw)]) if len(raw) < 255 else b"\xff" + struct.pack(">I", len(raw))) + raw


def four_vector(x: float, y: float, z: float, t: float) -> bytes:
    space = counted(struct.pack(">H", 3) + TOBJECT + struct.pack(">ddd", x, y, z))
    return counted(struct.pack(">H", 4) + TOBJECT + space + struct.pack(">d", t))


def integers(values: list[int]) -> bytes:
    return struct.pack(f">I{len(values)}i", len(values), *values)


def object_wise(content: dict) -> bytes:
    body = struct.pack(">HI", 10, len(content))
    for name, hits in content.items():
        body += string(name) + struct.pack(">I", len(hits))
        for contributors, deposit, start, stop in hits:
            vector = counted(struct.pack(">H", 10) + integers(contributors))
            numbers = struct.pack(">ifff", 0, deposit, 0.1, 2.0)
            points = four_vector(*start) + four_vector(*stop)
            body += counted(struct.pack(">H", 1) + TOBJECT + vector + numbers + points)
    return counted(body)


def member_wise_values(content: dict) -> bytes:
    body = struct.pack(">HH", 0x400A, 1)
    for hits in content.values():
        body += struct.pack(">I", len(hits))
        if not hits:
            continue
        body += TOBJECT * len(hits)
        body += counted(struct.pack(">H", 10) + b"".join(integers(h[0]) for h in hits))
        body += struct.pack(f">{len(hits)}i", *range(len(hits)))
        body += struct.pack(f">{len(hits)}f", *(h[1] for h in hits))
        body += struct.pack(f">{len(hits)}f", *(0.1 for _ in hits))
        body += struct.pack(f">{len(hits)}f", *(2.0 for _ in hits))
        body += b"".join(four_vector(*h[2]) for h in hits) + b"".join(four_vector(*h[3]) for h in hits)
    return counted(body)


def keys(content: dict) -> bytes:
    return counted(struct.pack(">H", 10) + b"".join(map(string, content)))


def member_wise(content: dict) -> bytes:
    body = struct.pack(">HHII", 0x400A, 0, 0xB5FB752, len(content))
    return counted(body + (keys(content) + member_wise_values(content) if content else b""))


def read_split(raw: bytes, content: dict) -> dict[str, HitSegments]:
    return split_detector_map(keys(content), raw, "here")


READERS = {
    "object by object": (object_wise, lambda raw, content: detector_map(raw, "here")),
    "member by member": (member_wise, lambda raw, content: detector_map(raw, "here")),
    "split": (member_wise_values, read_split),
}


@pytest.mark.parametrize("layout", READERS)
def test_every_layout_gives_every_number_back(layout):
    write, read = READERS[layout]
    found = read(write(MAP), MAP)
    assert list(found) == list(MAP)
    for name, hits in MAP.items():
        assert found[name].contributor.tolist() == [(h[0] or [-1])[0] for h in hits]
        assert found[name].dE.tolist() == [h[1] for h in hits]
        assert found[name].start.tolist() == [list(h[2]) for h in hits]
        assert found[name].stop.tolist() == [list(h[3]) for h in hits]


@pytest.mark.parametrize("layout", READERS)
def test_an_event_without_detectors_is_empty(layout):
    write, read = READERS[layout]
    assert read(write({}), {}) == {}


def test_a_split_branch_may_store_nothing_for_an_empty_event():
    assert split_detector_map(b"", b"", "here") == {}


@pytest.mark.parametrize("layout", READERS)
def test_bytes_that_are_missing_or_left_over_are_refused(layout):
    write, read = READERS[layout]
    raw = write(MAP)
    for broken in [raw[:n] for n in range(len(raw))] + [raw + b"\0", raw + raw]:
        with pytest.raises(FileFormatError, match="here"):
            read(broken, MAP)


@pytest.mark.parametrize("layout", READERS)
def test_an_object_of_another_form_is_refused(layout):
    """A TObject whose reference bit is set is two bytes longer, which would shift everything after it."""
    write, read = READERS[layout]
    raw = write(MAP).replace(TOBJECT, struct.pack(">HII", 1, 0, 0x3000010))
    with pytest.raises(FileFormatError, match="unknown form"):
        read(raw, MAP)


def test_trajectories_stored_member_by_member():
    n, pdg = 3, [13, -211, 1000180400]
    point = counted(struct.pack(">HH", 0x400A, 1) + struct.pack(">I", 0) * n)
    names = counted(struct.pack(">H", 10) + b"".join(map(string, ("mu-", "pi-", "Ar40"))))
    body = struct.pack(">HHI", 0x400A, 1, n) + TOBJECT * n + point + struct.pack(">3i", 0, 1, 5)
    body += struct.pack(">3i", -1, -1, 0) + names + struct.pack(">3i", *pdg) + four_vector(0, 0, 0, 0) * n
    ids, codes = trajectory_species(counted(body), "here")
    np.testing.assert_array_equal(ids, [0, 1, 5])
    np.testing.assert_array_equal(codes, pdg)
    with pytest.raises(FileFormatError, match="left over"):
        trajectory_species(counted(body) + b"\0", "here")
