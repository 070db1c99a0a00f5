"""The forward model as the configuration describes it."""

from __future__ import annotations

import torch

from ..config.models import Config
from ..detector.geometry import DetectorGeometry
from ..errors import ConfigError
from ..storage.pixels import load_pixels
from ..tables import Segments
from .model import ForwardModel, ModelSettings
from .noise import NoiseLevels


def model_settings(config: Config) -> ModelSettings:
    """Settings of the forward model.

    Raises `ConfigError` where `simulate.device` asks for CUDA and there is none.
    """
    device = config.simulate.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("simulate.device: there is no CUDA device on this machine; use auto or cpu.")
    return ModelSettings(
        recombination=config.detector.recombination,
        response=config.detector.response,
        accuracy=config.simulate.accuracy,
        dtype={"float32": torch.float32, "float64": torch.float64}[config.simulate.dtype],
        device=torch.device(device),
        block_pairs=config.simulate.block_pairs,
        threads=config.simulate.threads if device == "cpu" else 1,
        memory_limit_mib=config.simulate.memory_limit_mib,
        noise=noise_levels(config),
    )


def noise_levels(config: Config) -> NoiseLevels:
    """The configured noise, whether or not it is switched on for simulated data."""
    noise = config.readout.noise
    return NoiseLevels(noise.reset_electrons, noise.sampling_electrons, noise.discriminator_electrons)


def forward_model(segments: Segments, geometry: DetectorGeometry, config: Config) -> ForwardModel:
    """The forward model of some deposits, on pixels as configured."""
    pixels = load_pixels(config.readout.pixels, geometry)
    return ForwardModel(segments, geometry, model_settings(config), pixels)
