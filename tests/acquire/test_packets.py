"""The settings for packets of LArPix in docs/data.md, on a made-up file of them."""

import re
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from pipeline.acquire.hits import acquire
from pipeline.config.data import Data
from pipeline.detector.pixels import PixelConstants
from pipeline.storage.detector import load_geometry
from pipeline.storage.foreign import read_foreign_hits

from .layouts import made_up_hits

GEOMETRY = load_geometry("module0")
CLOCK = GEOMETRY.readout.clock
KEYS = ("io_group", "io_channel", "chip_id", "channel_id")
FIELDS = {**dict.fromkeys(KEYS, "u1"), "packet_type": "u1", "timestamp": "u8", "dataword": "u1", "valid_parity": "u1"}


def channel_key(channel: np.ndarray) -> list[np.ndarray]:
    """A name of four small numbers for every channel."""
    return [channel // 2**21, channel // 2**14 % 128, channel // 2**7 % 128, channel % 128]


@pytest.fixture
def settings(tmp_path: Path) -> Data:
    """Those of the page, with the files in the folder of the test."""
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    blocks = [yaml.safe_load(text)["data"] for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    (data,) = [Data.model_validate(block) for block in blocks if "channels" in block]
    assert data.channels is not None
    channels = data.channels.model_copy(update={"file": str(tmp_path / "channels.csv")})
    return data.model_copy(update={"file": str(tmp_path / "packets.h5"), "channels": channels})


def test_packets_become_the_hits_they_were_made_from(settings: Data) -> None:
    """Triggers stand among the data; packets with wrong parity, of another type, or of no event are left out."""
    hits = made_up_hits(GEOMETRY)
    hits = replace(hits, t=np.floor(hits.t / CLOCK) * CLOCK, adc=np.rint(hits.adc))
    channel = GEOMETRY.channel(hits.tpc, hits.pixel_x, hits.pixel_y)
    begin = 10**9 + 7 * 10**6 * np.arange(hits.event_id.max() + 1)
    rows = np.zeros(len(hits) + len(begin) + 3, dtype=list(FIELDS.items()))
    rows["valid_parity"] = 1
    data, triggers, odd = np.split(rows, [len(hits), len(hits) + len(begin)])
    for name, values in zip(KEYS, channel_key(channel), strict=True):
        data[name] = values
    data["timestamp"], data["dataword"] = begin[hits.event_id] + np.rint(hits.t / CLOCK).astype(np.int64), hits.adc
    triggers["packet_type"], triggers["timestamp"] = 7, begin
    odd["timestamp"] = [begin[0] + 5, begin[0] + 6, begin[0] - 50]
    odd["valid_parity"], odd["packet_type"] = [0, 1, 1], [0, 4, 0]
    with h5py.File(settings.file, "w") as file:
        file["packets"] = rows[np.argsort(rows["timestamp"], kind="stable")]
    known = np.unique(channel)
    table = np.stack([*channel_key(known), *GEOMETRY.pixel(known)], axis=1)
    assert settings.channels is not None
    np.savetxt(
        settings.channels.file, table, "%d", ",", header=",".join((*KEYS, "tpc", "pixel_x", "pixel_y")), comments=""
    )

    found = read_foreign_hits(settings)
    acquired = acquire(found.hits, found.events, found.channels, settings, GEOMETRY, PixelConstants.nominal(GEOMETRY))
    for name in ("event_id", "tpc", "pixel_x", "pixel_y", "hit", "t", "adc"):
        np.testing.assert_allclose(getattr(acquired.hits, name), getattr(hits, name), atol=1e-9, err_msg=name)
    assert acquired.hits.recording.integer
    (said,) = acquired.warnings
    assert f"1 of {len(hits) + 1} hits belong to no event and were left out" in said
