"""A fit that is free to undo a perturbation finds what was done: signs and frames are those of the model."""

import json

import pytest

from pipeline.cli.main import run
from pipeline.storage.provenance import Provenance
from pipeline.storage.segments import write_segments
from pipeline.tables import Segments

from ..tracks import straight_track


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Tracks in both drift volumes and their hits at nominal values."""
    folder = tmp_path_factory.mktemp("closure")
    tracks = [
        straight_track(traj=0, start=(-5.03, 2.07, 21), direction=(1.0, 0.6, 0.4), segments=8),
        straight_track(traj=1, start=(3.04, -8.01, -21), direction=(0.5, -1.0, 0.3), segments=8),
    ]
    write_segments(folder / "segments.h5", Segments.concatenate(tracks), Provenance("test", {}, {}, "0"))
    assert (
        run(["simulate", "--no-noise", "--config-json", "{}", str(folder / "segments.h5"), str(folder / "hits.h5")])
        == 0
    )
    return folder


@pytest.mark.parametrize(
    ("perturbation", "expected"),
    [
        ({"kind": "shift", "x_cm": 0.05, "y_cm": -0.08, "drift_cm": 0.1}, (-0.05, 0.08, -0.1)),
        ({"kind": "t0_offset", "offset_us": -0.5, "drift_cm_per_us": 0.16}, (0.0, 0.0, 0.08)),
    ],
)
def test_a_shift_is_found_by_the_fit(recorded, perturbation, expected):
    settings = json.dumps(
        {
            "scenarios": {"closure": {"perturb": [perturbation]}},
            "methods": {"m": {"free": ["shift_x", "shift_y", "shift_z"]}},
        }
    )
    names = ("segments", "hits", "input", "fit")
    segments, hits, perturbed, fit = (str(recorded / f"{name}.h5") for name in names)
    assert run(["perturb", "--config-json", settings, segments, perturbed]) == 0
    arguments = ["--segments", perturbed, "--hits", hits, fit]
    assert run(["fit", "--config-json", settings, *arguments]) == 0
    found = json.loads((recorded / "fit.json").read_text())
    assert found["converged"]
    values = {p["name"]: p["value"] for p in found["parameters"]}
    # What is left is that of single precision in the plan of the model, below a micrometre.
    assert [values[f"shift_{axis}"] for axis in "xyz"] == pytest.approx(expected, abs=1e-4)
