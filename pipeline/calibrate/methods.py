"""Which objective and optimiser a configured method means: one line for each that there is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..config.models import Method
from ..tables import Observables
from .levenberg_marquardt import Outcome, minimise
from .objective import MatchedResiduals, Objective, ObservableModel


def matched_residuals(method: Method, model: ObservableModel, data: Observables) -> Objective:
    """Charge and time residuals of hits, in the units of the method."""
    scales = np.array([method.charge_scale_adc, method.time_scale_us])
    return MatchedResiduals(model, data, scales, method.fair_scale, method.threshold_noise_electrons)


#: Objectives and optimisers by the names that the config uses.
OBJECTIVES: dict[str, Callable[[Method, ObservableModel, Observables], Objective]] = {
    "matched_residuals": matched_residuals
}
OPTIMISERS: dict[str, Callable[..., Outcome]] = {"levenberg_marquardt": minimise}


def objective_of(method: Method, model: ObservableModel, data: Observables) -> Objective:
    """The objective of a method on some data."""
    return OBJECTIVES[method.objective](method, model, data)
