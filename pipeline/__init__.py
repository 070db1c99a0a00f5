"""gradcal: calibration of liquid-argon detectors by differentiable simulation."""

__version__ = "0.1.0"
