"""Whether a model describes the readout that data were recorded with."""

from __future__ import annotations

from dataclasses import astuple

from ..detector.pixels import PixelConstants
from ..tables import Recording
from .noise import NoiseLevels


def different_conditions(recording: Recording, pixels: PixelConstants, noise: NoiseLevels | None) -> tuple[str, ...]:
    """Sentences about what is different in data and model, as far as the data tell: constants of pixels, and `noise`
    that the model has (None: it has none).
    """
    found = []
    if recording.pixels not in (None, pixels.digest()):
        found.append(
            "The hits were recorded with other thresholds, gains or pedestals than the fit assumes; give it those of "
            "the detector by readout.pixels and detector.file."
        )
    assumed = (0.0, 0.0, 0.0) if noise is None else astuple(noise)
    if recording.noise is not None and recording.noise != assumed:
        found.append(
            f"The hits have noise of {_words(recording.noise)} electrons (reset, sampling, discriminator), the model "
            + ("has none: hits near the threshold bias the fit." if not any(assumed) else f"of {_words(assumed)}.")
        )
    return tuple(found)


def _words(noise: tuple[float, ...]) -> str:
    return ", ".join(f"{width:g}" for width in noise)
