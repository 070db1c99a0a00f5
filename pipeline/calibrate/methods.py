"""Which objective and optimiser a configured method means."""

from __future__ import annotations

import numpy as np

from ..config.models import Method
from ..simulate.observe import ObservableModel
from ..tables import Observables
from .objective import MatchedResiduals, Objective


def objective_of(method: Method, model: ObservableModel, data: Observables) -> Objective:
    """The objective of a method on some data."""
    scales = np.array([method.charge_scale_adc, method.time_scale_us])
    return MatchedResiduals(model, data, scales, method.fair_scale, method.threshold_noise_electrons)
