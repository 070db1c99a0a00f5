"""Settings of external measurements that a fit takes into account."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ..parameters import check_values, lookup
from .section import Positive, Section

Correlation = Annotated[float, Field(gt=-1, lt=1)]


class Prior(Section):
    """An external measurement of one parameter: Gaussian, in the parameter's unit."""

    value: float = Field(description="measured value")
    uncertainty: Positive = Field(description="its standard uncertainty")
    correlation: dict[str, Correlation] = Field(
        default_factory=dict,
        description="correlation with other measured parameters; at one of the two is enough",
    )


def check_priors(priors: Mapping[str, Prior], free: Collection[str]) -> None:
    """Refuse measurements of what is not fitted, unphysical values, and correlations that no covariance has.

    Raises `ValueError` (`ConfigError` for unknown names and values that are not physical).
    """
    for name, prior in priors.items():
        lookup(name, "methods.*.priors")
        check_values({name: prior.value}, "methods.*.priors")
        if not np.isfinite(prior.value):
            raise ValueError(f"priors: {name} = {prior.value:g} was not measured; give a finite value")
        if name not in free:
            raise ValueError(f"priors: {name} is not fitted, so its measurement would do nothing; add it to free")
        for other, given in prior.correlation.items():
            if other not in priors or other == name:
                raise ValueError(
                    f"priors.{name}.correlation: {other} is not another measured parameter; give it a prior or leave "
                    f"the correlation out"
                )
            back = priors[other].correlation.get(name, given)
            if back != given:
                raise ValueError(
                    f"priors: the correlation of {name} and {other} is given as {given:g} and as {back:g}; keep one"
                )
    if priors:
        smallest = float(np.linalg.eigvalsh(prior_correlation(priors))[0])
        if smallest <= 1e-12:
            raise ValueError(
                f"priors: no measurements can have these correlations (their matrix has the eigenvalue {smallest:.2g}, "
                f"not above 0); lower them"
            )


def prior_correlation(priors: Mapping[str, Prior]) -> npt.NDArray[np.float64]:
    """`(m, m)` correlation of the measurements, in the order of `priors`."""
    names = list(priors)
    matrix = np.eye(len(names))
    for row, name in enumerate(names):
        for other, given in priors[name].correlation.items():
            column = names.index(other)
            matrix[row, column] = matrix[column, row] = given
    return matrix
