"""A model that assumes another readout than the data had is found out, and one that knows nothing of it is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.detector.pixels import PixelConstants
from pipeline.simulate.conditions import different_conditions
from pipeline.simulate.noise import NoiseLevels
from pipeline.tables import Recording
from tests.simulate.deposits import MODULE0

PIXELS = PixelConstants.nominal(MODULE0)
QUIET = Recording(noise=(0.0, 0.0, 0.0), pixels=PIXELS.digest())
NOISY = replace(QUIET, noise=(900.0, 500.0, 0.0))


@pytest.mark.parametrize(
    ("recording", "noise"),
    [(Recording(), None), (Recording(), NoiseLevels(1.0, 2.0)), (QUIET, None), (NOISY, NoiseLevels(900.0, 500.0))],
)
def test_equal_or_unknown_conditions_are_passed_over(recording: Recording, noise: NoiseLevels | None) -> None:
    assert different_conditions(recording, PIXELS, noise) == ()


@pytest.mark.parametrize(
    ("recording", "noise", "says"),
    [
        (NOISY, None, "noise of 900, 500, 0 electrons (reset, sampling, discriminator), the model has none"),
        (NOISY, NoiseLevels(800.0, 500.0), "(reset, sampling, discriminator), the model of 800, 500, 0."),
        (QUIET, NoiseLevels(900.0, 500.0), "noise of 0, 0, 0 electrons"),
        (replace(QUIET, pixels="0" * 64), None, "other thresholds, gains or pedestals than the fit assumes"),
    ],
)
def test_different_conditions_are_told_in_a_sentence(
    recording: Recording, noise: NoiseLevels | None, says: str
) -> None:
    (sentence,) = different_conditions(recording, PIXELS, noise)
    assert says in sentence and sentence.endswith(".") and "\n" not in sentence
