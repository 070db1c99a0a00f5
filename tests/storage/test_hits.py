"""Files of hits come back as they were, and broken or foreign ones are refused in a sentence."""

import time
from dataclasses import replace

import h5py
import numpy as np
import pytest

from pipeline.errors import FileFormatError
from pipeline.storage.hits import examine_hits, read_hits, read_hits_noise, read_hits_truth, write_hits
from pipeline.storage.provenance import Provenance
from pipeline.tables import Hits, Recording

PROVENANCE = Provenance("simulate", {"seed": 1}, {"segments": "0" * 64}, "1" * 64)
TRUTH = {"birks_ab": 0.82, "electron_lifetime": 800.0}


def some_hits(n: int = 200) -> Hits:
    """Hits on `n / 2` pixels, two each, in order."""
    rng = np.random.default_rng(3)
    pixel = np.arange(n) // 2
    real = {name: rng.uniform(1, 100, n) for name in ("x", "y", "z", "t", "adc", "charge")}
    return Hits(
        event_id=pixel // 40,
        tpc=pixel // 20 % 2,
        pixel_x=pixel // 5 % 4,
        pixel_y=pixel % 5,
        hit=np.arange(n) % 2,
        **real,
        drift_velocity=0.15965,
        event_t0={int(event): 0.25 * float(event) for event in np.unique(pixel // 40)},
    )


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "hits.h5"
    write_hits(path, some_hits(), PROVENANCE, {**TRUTH, "accuracy": "precise"})
    return path


def refusal(path) -> str:
    with pytest.raises(FileFormatError) as caught:
        read_hits(path)
    sentence = str(caught.value)
    assert str(path) in sentence and "\n" not in sentence
    return sentence


def test_hits_come_back(file):
    hits, found = some_hits(), read_hits(file)
    for name in Hits.COLUMNS:
        single = name in ("x", "y", "z", "adc", "charge")
        expected = getattr(hits, name).astype("f4" if single else "f8")  # documented precision of the file
        np.testing.assert_array_equal(getattr(found, name), expected, err_msg=name)
    assert found.drift_velocity == hits.drift_velocity and found.event_t0 == hits.event_t0
    assert found.event_id.dtype == np.int64 and found.charge.dtype == np.float64


def test_layout_is_the_documented_one(file):
    with h5py.File(file) as content:
        dtype = content["hits"].dtype
        assert [(name, dtype[name].str) for name in dtype.names] == [
            ("event_id", "<i8"), ("tpc", "<i4"), ("pixel_x", "<i4"), ("pixel_y", "<i4"), ("hit", "<i4"), ("x", "<f4"),
            ("y", "<f4"), ("z", "<f4"), ("t", "<f8"), ("adc", "<f4"), ("charge", "<f4"),
        ]  # fmt: skip
        assert content.attrs["schema"] == 1
        assert content["hits"].attrs["unit_charge"] == "electrons" and content["hits"].attrs["accuracy"] == "precise"


def test_truth_holds_parameters_only(file):
    assert read_hits_truth(file) == TRUTH


def test_rows_are_sorted_on_writing(file, tmp_path):
    hits = some_hits()
    mixed = np.random.default_rng(1).permutation(len(hits))
    shuffled = hits.take(mixed)
    write_hits(tmp_path / "other.h5", shuffled, PROVENANCE, {**TRUTH, "accuracy": "precise"})
    assert (tmp_path / "other.h5").read_bytes() == file.read_bytes()


def test_same_content_is_same_bytes_at_another_time_and_place(file, tmp_path):
    time.sleep(1.1)  # HDF5 keeps times in seconds
    (tmp_path / "elsewhere").mkdir()
    write_hits(tmp_path / "elsewhere" / "h.h5", some_hits(), PROVENANCE, {**TRUTH, "accuracy": "precise"})
    assert (tmp_path / "elsewhere" / "h.h5").read_bytes() == file.read_bytes()


def test_no_hits_is_a_table_of_none(tmp_path):
    hits = some_hits()
    none = replace(hits.take(np.zeros(0, dtype=np.int64)), event_t0={})
    write_hits(tmp_path / "none.h5", none, PROVENANCE, {})
    assert len(read_hits(tmp_path / "none.h5")) == 0
    assert read_hits_truth(tmp_path / "none.h5") == {}


@pytest.mark.parametrize("column", Hits.COLUMNS)
def test_every_column_is_needed(file, column):
    with h5py.File(file, "r+") as content:
        rows, attributes = content["hits"][()], dict(content["hits"].attrs)
        del content["hits"]
        kept = [name for name in rows.dtype.names if name != column]
        content.create_dataset("hits", data=rows[kept].copy()).attrs.update(attributes)
    assert f"lacks {column};" in refusal(file)


def edited(path, column, row, value) -> str:
    with h5py.File(path, "r+") as content:
        rows = content["hits"][()]
        rows[column][row] = value
        content["hits"][...] = rows
    return refusal(path)


@pytest.mark.parametrize(("column", "value"), [("x", np.nan), ("t", np.inf), ("charge", -np.inf), ("adc", np.nan)])
def test_numbers_must_be_finite(file, column, value):
    assert f"hits.{column} is {value} in row 7" in edited(file, column, 7, value)


def test_repeated_rows_are_refused(file):
    assert "row 5 of hits is out of order or a repetition" in edited(file, "hit", 5, 0)


def test_unsorted_rows_are_refused(file):
    assert "row 100 of hits is out of order or a repetition" in edited(file, "event_id", 99, 4)


def test_negative_pixels_are_refused(file):
    assert "row 0 of hits has a negative tpc" in edited(file, "pixel_x", 0, -1)


def test_event_without_time_is_refused(file):
    assert "event 9 has hits but no time" in edited(file, "event_id", -1, 9)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("unit_x", "mm", "hits.x is in mm, not in cm"),
        ("unit_t", None, "hits.t is in no stated unit, not in us"),
        ("drift_velocity", None, "no drift_velocity"),
        ("drift_velocity", -1.0, "no drift_velocity"),
        ("drift_velocity", "fast", "foreign, truncated or damaged"),
    ],
)
def test_units_and_velocity_must_be_stated(file, name, value, expected):
    with h5py.File(file, "r+") as content:
        if value is None:
            del content["hits"].attrs[name]
        else:
            content["hits"].attrs[name] = value
    assert expected in refusal(file)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("kind", "fit", "is a file of fit"), ("kind", None, "was not written by gradcal"), ("schema", 2, "version 2")],
)
def test_other_kinds_and_versions_are_refused(file, name, value, expected):
    with h5py.File(file, "r+") as content:
        del content.attrs[name]
        if value is not None:
            content.attrs[name] = value
    assert expected in refusal(file)


def test_missing_folder_text_and_foreign_files_are_refused(tmp_path):
    assert "does not exist" in refusal(tmp_path / "no.h5")
    assert "is a folder" in refusal(tmp_path)
    (tmp_path / "text.h5").write_text("hits\n")
    assert "foreign, truncated or damaged" in refusal(tmp_path / "text.h5")
    with h5py.File(tmp_path / "foreign.h5", "w") as content:
        content["a"] = [1]
    assert "was not written by gradcal" in refusal(tmp_path / "foreign.h5")


def test_truncated_files_are_refused(file):
    whole = file.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 40).astype(int):
        file.write_bytes(whole[:length])
        refusal(file)


def test_damaged_files_never_end_in_a_traceback(file):
    whole = file.read_bytes()
    rng = np.random.default_rng(5)
    for _ in range(150):
        damaged = bytearray(whole)
        start = int(rng.integers(len(whole)))
        damaged[start : start + 16] = rng.bytes(len(damaged[start : start + 16]))
        file.write_bytes(damaged)
        for read in (read_hits, read_hits_truth):
            try:
                read(file)
            except FileFormatError as error:
                assert str(file) in str(error)


@pytest.mark.parametrize(
    "recording",
    [
        Recording(),
        Recording(integer=True, noise=(900.0, 500.0, 0.0), pixels="f" * 64),
        Recording(noise=(0.0, 0.0, 0.0)),
    ],
)
def test_how_hits_were_recorded_comes_back(tmp_path, recording):
    path = tmp_path / "hits.h5"
    write_hits(path, replace(some_hits(), recording=recording), PROVENANCE, TRUTH)
    assert read_hits(path).recording == recording
    noise = None if recording.noise is None else recording.noise[0] > 0
    assert read_hits_noise(path) is noise


@pytest.mark.parametrize(("whole", "integer"), [(True, True), (False, False)])
def test_data_that_do_not_tell_are_integer_if_all_counts_are_whole(tmp_path, whole, integer):
    path, hits = tmp_path / "hits.h5", some_hits()
    write_hits(path, replace(hits, adc=np.round(hits.adc) if whole else hits.adc), PROVENANCE, TRUTH)
    with h5py.File(path, "a") as content:
        del content["recording"]
    assert read_hits(path).recording == Recording(integer=integer)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("integer", "perhaps", "recording.integer is 'perhaps', neither true nor false"),
        ("reset_noise", -1.0, "reset_noise, sampling_noise, discriminator_noise of recording must be widths"),
        ("sampling_noise", np.nan, "must be widths in electrons"),
        ("discriminator_noise", "none", "must be widths in electrons"),
    ],
)
def test_damaged_records_of_how_hits_were_recorded_are_refused(tmp_path, name, value, says):
    path = tmp_path / "hits.h5"
    write_hits(path, replace(some_hits(), recording=Recording(noise=(900.0, 500.0, 0.0))), PROVENANCE, TRUTH)
    with h5py.File(path, "a") as content:
        content["recording"].attrs[name] = value
    assert says in refusal(path)
    assert any(says in fault for fault in examine_hits(path).faults)
