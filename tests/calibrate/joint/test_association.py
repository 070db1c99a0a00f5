"""Which hits hold stray charge: against the integral over what is not known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.integrate import quad
from scipy.stats import exponnorm, norm

from pipeline.calibrate.joint.association import associated
from pipeline.simulate.first_passage import Stray
from pipeline.simulate.linked import StrayClasses
from pipeline.simulate.noise import NoiseLevels

#: A segment of 20 ke, known to 14 % beforehand, and one hit of it.
CHARGE, BELIEF, RESET, SAMPLING = 20e3, 0.14, 900.0, 500.0
STRAY = Stray(((0.75, 0.0), (0.0, 0.25)), (3e3,), (1e4,))


def judged(excess: float, clean: bool) -> np.ndarray:
    """Probabilities of no stray charge in the hold, of a hit with an `excess` of charge over what is most believed.

    `clean`: whether the state at which it is judged explains the hit (else it does not feel it).
    """
    told = (CHARGE / SAMPLING) ** 2 if clean else 0.0
    # The state that is most probable then, and what the hit has over it.
    u = told / (told + BELIEF**-2) * excess / CHARGE
    classes = StrayClasses(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]] if clean else [[0.0, 1.0]]))
    slopes = sparse.csr_array(np.array([[0.0], [CHARGE / SAMPLING]]))
    local = sparse.csc_array(np.array([[told + BELIEF**-2]]))
    more: dict[str, Any] = {"excess": np.array([[0.0, excess - CHARGE * u]]), "local": local, "state": None}
    at = SimpleNamespace(weights=np.array([[1.0, float(clean)]]), **more)
    whole = SimpleNamespace(rows=slopes, sources=np.array([0, 1]))
    settings = SimpleNamespace(noise=NoiseLevels(reset=RESET, sampling=SAMPLING))
    part = SimpleNamespace(settings=settings, data=[0], at=lambda *given, **more: whole)
    found = associated(part, at, {}, (), None, STRAY, 1.0, classes)  # type: ignore[arg-type]
    return found.held[0]


@pytest.mark.parametrize("excess", [-2e3, 0.0, 2e3, 5e3, 8e3, 15e3])
def test_a_hit_is_judged_as_by_the_integral_over_its_segment(excess: float) -> None:
    def of(density: Any) -> float:
        return float(quad(lambda u: norm.pdf(u, 0, BELIEF) * density(excess - CHARGE * u), -1, 1, points=[0, 0.3])[0])

    clean = 0.75 * norm.pdf(0, 0, RESET) * of(lambda x: norm.pdf(x, 0, SAMPLING))
    early = exponnorm.pdf(0.0, 3e3 / RESET, 0, RESET)
    stray = 0.25 * early * of(lambda x: exponnorm.pdf(x, 1e4 / SAMPLING, 0, SAMPLING))
    assert judged(excess, True)[0] == pytest.approx(clean / (clean + stray), rel=1e-3, abs=1e-5)


def test_the_verdict_does_not_hang_on_the_state_that_explains_the_hit() -> None:
    # What a segment that has explained a hit says of it is what one says that has not, but for the weak pull of stray
    # charge on that.
    for excess in (0.0, 4e3, 12e3):
        assert judged(excess, True)[0] == pytest.approx(judged(excess, False)[0], abs=0.12)
