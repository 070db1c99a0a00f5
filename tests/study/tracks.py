"""A few centimetres of track on which studies run in a second, and their configuration."""

from dataclasses import replace
from typing import Any

from pipeline.config.models import Config, Studies
from pipeline.detector.geometry import DetectorGeometry
from pipeline.storage.detector import load_geometry
from pipeline.tables import Segments
from tests.tracks import straight_track

GEOMETRY: DetectorGeometry = load_geometry("module0")


def two_tracks() -> Segments:
    """A muon across most of the drift, and a proton of four to eight times its energy loss."""
    muon = straight_track(event=0, start=(-15, 3.1, 27.0), direction=(1, 0.3, -1.9), segments=14)
    proton = straight_track(event=1, start=(5, 13.2, 10.0), direction=(1, 0.2, 0.9), segments=6, pdg=2212)
    # Unequal losses: else A_B and k_B do the same.
    gain = {13: 1.0 + 0.1 * muon.segment_id, 2212: 4.0 + 0.8 * proton.segment_id}
    return Segments.concatenate(
        [replace(t, dE=gain[pdg] * t.dE, dEdx=gain[pdg] * t.dEdx) for pdg, t in ((13, muon), (2212, proton))]
    )


def study_config(**settings: Any) -> Config:
    """A configuration on one thread with these settings of studies."""
    simulate = Config().simulate.model_copy(update={"threads": 1})
    return Config(study=Studies(**settings)).model_copy(update={"simulate": simulate})


def silent(step: str) -> None:
    """No progress."""
