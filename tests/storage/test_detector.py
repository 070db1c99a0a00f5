"""Detector files: the one of the package, and what is said of wrong ones."""

import numpy as np
import pytest
import yaml

from pipeline.errors import ConfigError
from pipeline.storage.detector import detector_path, load_geometry

READOUT = yaml.safe_load(detector_path("module0").read_text())["readout"]


def test_module0_is_the_published_detector():
    # arXiv:2309.04639 and the public module-0 description: two TPCs, pixel pitch 4.434 mm, drift length 30.27 cm.
    geometry = load_geometry("module0")
    assert geometry.pixel_pitch == 0.4434 and geometry.pixels == (140, 280)
    for tpc in geometry.tpcs:
        assert abs(tpc.z_anode - tpc.z_cathode) == pytest.approx(30.27225, abs=1e-9)


def test_a_path_is_read_as_the_name_is(tmp_path):
    copy = tmp_path / "mine.yaml"
    copy.write_text(detector_path("module0").read_text())
    assert load_geometry(str(copy)) == load_geometry("module0")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"pixel_pich": 0.4}, "pixel_pich is not a setting; did you mean pixel_pitch?"),
        ({"pixel_pitch": -1}, "pixel_pitch must be above 0, not -1"),
        ({"pixel_pitch": 0.3}, "x_range is not 140 pixels of 0.3 cm wide"),
        ({"tpcs": []}, "tpcs needs 1 or more entries"),
        ({"tpcs": [{"tpc": 1, "z_anode": 1, "z_cathode": 0}]}, "tpcs must be numbered 0, 1, ... in order"),
        ({"tpcs": [{"tpc": 0, "z_anode": 1}]}, "tpcs[0].z_cathode is missing; add it"),
        ({"tpcs": [{"tpc": 0, "z_anode": 1, "z_catode": 0, "z_cathode": 0}]}, "did you mean tpcs[0].z_cathode?"),
        ({"readout": 3}, "readout must be settings as `key: value`, not 3"),
        ({"pixels": [140, 0]}, "pixels[1] must be at least 1, not 0"),
        ({"x_range": [31.039, -31.039]}, "x_range must run from a lower to a higher end, not from 31.039 to -31.039"),
        ({"y_range": [-83.8626, float("inf")]}, "y_range[1] must be a finite number, not inf"),
        ({"response_start": float("nan")}, "response_start must be a finite number, not nan"),
        ({"tpcs": [{"tpc": 0, "z_anode": float("nan"), "z_cathode": 0}]}, "tpcs[0].z_anode must be a finite number"),
        (
            {"tpcs": [{"tpc": 0, "z_anode": 1, "z_cathode": 1}]},
            "tpcs[0]: z_anode and z_cathode are both 1 cm",
        ),
        (
            {"tpcs": [{"tpc": 0, "z_anode": 30, "z_cathode": 0}, {"tpc": 1, "z_anode": -30, "z_cathode": 0.1}]},
            "tpcs 1 and 0 overlap in z",
        ),
        ({"readout": READOUT | {"reference": 288}}, "readout: reference is 288 mV and must be above common_mode, 288"),
        ({"readout": READOUT | {"pedestal": float("-inf")}}, "readout.pedestal must be a finite number, not -inf"),
        ({"x_range": "wide"}, "x_range must be a list, not 'wide'"),
    ],
)
def test_wrong_files_are_refused_with_place_and_meaning(change, expected, tmp_path):
    content = yaml.safe_load(detector_path("module0").read_text()) | change
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(ConfigError) as caught:
        load_geometry(str(path))
    assert str(caught.value).startswith(str(path))
    assert expected in str(caught.value)


@pytest.mark.parametrize("name", ["module_0", "Module0", "modul"])
def test_unknown_name_is_answered_with_the_nearest(name):
    with pytest.raises(ConfigError, match=r"detector\.file: there is no detector .*; did you mean 'module0'"):
        load_geometry(name)


def test_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_geometry(str(tmp_path / "no.yaml"))


def test_drift_volumes_may_share_a_cathode(tmp_path):
    tpcs = [{"tpc": 0, "z_anode": 30, "z_cathode": 0}, {"tpc": 1, "z_anode": -30, "z_cathode": 0}]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(detector_path("module0").read_text()) | {"tpcs": tpcs}))
    assert load_geometry(str(path)).tpc_of(np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]])).tolist() == [1, 0]
