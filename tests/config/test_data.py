"""Settings of hits that were recorded elsewhere."""

import json

import pytest

from pipeline.config.load import config_from_json
from pipeline.config.models import Config
from pipeline.errors import ConfigError
from pipeline.layout import check_paths, hits_files, pages
from pipeline.targets import measured, target_values

PIXEL = {"tpc": {"value": 0}, "pixel_x": {"name": "i"}, "pixel_y": {"name": "j"}}
COLUMNS = {"event_id": {"name": "e"}, **PIXEL, "t": {"name": "t"}, "adc": {"name": "q"}}
DATA = {"file": "elsewhere.h5", "columns": COLUMNS}
EVENTS = {"dataset": "ev", "event_id": {"name": "e"}, "t0": {"name": "t"}}


def without(*names: str) -> dict[str, object]:
    return {name: column for name, column in COLUMNS.items() if name not in names}


def config(data: dict[str, object], **more: object) -> Config:
    return config_from_json(json.dumps({"data": data, **more}))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"columns": without("t")}, r"data\.columns\.t is missing; add it"),
        ({"columns": without("event_id")}, r"give either columns\.event_id, or events\.window_us"),
        ({"columns": without("tpc")}, r"give the pixel of a hit by one of"),
        ({"columns": COLUMNS | {"x": {"name": "x"}}}, r"give the pixel of a hit by one of"),
        ({"channels": {"file": "m.csv", "keys": ["chip"]}}, r"give the pixel of a hit by one of"),
        ({"columns": without("adc")}, r"give either adc \(counts or mV\) or charge"),
        ({"columns": COLUMNS | {"charge": {"name": "q"}}}, r"give either adc \(counts or mV\) or charge"),
        ({"columns": COLUMNS | {"tpc": {}}}, r"columns\.tpc: give either the name of a column or a value"),
        ({"columns": COLUMNS | {"tpc": {"name": "s", "unit": "cm"}}}, r"'cm' is not a unit of tpc; there are none"),
        ({"columns": COLUMNS | {"t": {"name": "s", "values": {"1": 2}}}}, r"only for whole numbers such as tpc"),
        ({"columns": COLUMNS | {"t": {"name": "s", "scale": 0}}}, r"a scale of 0 leaves nothing"),
        ({"absolute_time": True}, r"absolute_time needs the times of events"),
        ({"events": EVENTS, "columns": COLUMNS | {"t0": {"name": "t0"}}}, r"in columns\.t0 or in the table events"),
        ({"events": EVENTS | {"window_us": 5}, "columns": without("event_id")}, r"set absolute_time to true"),
        ({"events": {"dataset": "ev", "t0": {"name": "t"}}}, r"events\.event_id is missing"),
        ({"column": {}}, r"data\.column is not a setting; did you mean data\.columns\?"),
        ({"position_tolerance_cm": -1}, r"data\.position_tolerance_cm must be above 0"),
    ],
)
def test_settings_that_contradict_are_refused(changed, says):
    with pytest.raises(ConfigError, match=says):
        config(DATA | changed)


def test_hits_recorded_elsewhere_take_the_place_of_targets():
    alone = config(DATA)
    assert target_values(alone) == {"data": {}} and measured(alone)
    both = config(DATA, scenarios={"closure": {"targets": ["target_1", "data"]}})
    assert list(target_values(both)) == ["target_1", "data"] and measured(both)
    other = config(DATA, scenarios={"closure": {"targets": ["target_2"]}})
    assert list(target_values(other)) == ["target_2"] and not measured(other) and hits_files(other) == {}
    with pytest.raises(ConfigError, match="'data' stands for hits recorded elsewhere; describe them in the section"):
        target_values(Config.model_validate({"scenarios": {"closure": {"targets": ["data"]}}}))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"targets": {"named": {"data": {}}}}, r"targets\.named\.data: the hits of section `data` go by this name"),
        ({"samples": {"a": {}, "b": {}}, "scenarios": {"closure": {"samples": ["a", "b"]}}}, r"belong to one sample"),
        (
            {"samples": {"a": {}}, "scenarios": {"closure": {"contaminate": {"sample": "a"}}}},
            r"the hits of `data` are as they were recorded",
        ),
    ],
)
def test_scenarios_that_make_no_sense_for_them_are_refused(more, says):
    with pytest.raises(ConfigError, match=says):
        config(DATA, **more)


def test_their_files_and_the_folder_of_their_results(tmp_path):
    (tmp_path / "segments.h5").write_text("")
    data = DATA | {"file": str(tmp_path / "elsewhere.h5")}
    place = {"results": str(tmp_path / "out")}
    assert [page.parent.name for page in pages(config(data, **place))] == ["elsewhere"]
    known = config(data, sample={"file": str(tmp_path / "segments.h5")}, **place)
    assert [page.parent.name for page in pages(known)] == ["segments"]
    with pytest.raises(
        ConfigError, match=r"data\.file: there is no file .*elsewhere\.h5.*; give a file of hits in HDF5"
    ):
        check_paths(known)
    (tmp_path / "elsewhere.h5").write_text("")
    check_paths(known)
    with pytest.raises(ConfigError, match=r"sample\.file: the hits of `data` were recorded, so generated particles"):
        check_paths(config(data, **place))
