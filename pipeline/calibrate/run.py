"""A configured method on hits of pixels: its objectives, put together and fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from ..config.methods import Method
from ..simulate.batches import observable_batches
from ..simulate.observe import PixelObservables
from ..simulate.pixel_likelihood import check_noise
from ..tables import FitResult, Observables, Segments, Tracks
from .fit import check_method, fit
from .joint.run import fit_unknown
from .methods import matched_residuals, objective_of
from .objective import Objective
from .progress import Progress


@dataclass(frozen=True)
class Objectives:
    """What a method asks of data: the objective of the `whole`, its `batches`, and the `approach` to it, if any."""

    whole: Objective
    batches: tuple[Objective, ...] = ()
    approach: Objective | None = None

    @staticmethod
    def of(method: Method, model: PixelObservables, data: Observables, seed: int) -> Objectives:
        """The objectives of a method; batches are those of `seed`."""
        whole = objective_of(method, model, data)
        known = {**method.fixed, **method.initial}
        if method.batch_length_cm:
            batches = observable_batches(model.model, data, method.batch_length_cm, seed, known)
            return Objectives(whole, tuple(objective_of(method, *batch) for batch in batches))
        if method.optimiser != "fisher_scoring":
            return Objectives(whole)
        # Before anything is fitted: residuals, which lead near, would not complain.
        check_noise(model.model, data)
        part = model, data
        if method.approach_length_cm is not None:
            # The first one only: the others are never made.
            part = next(observable_batches(model.model, data, method.approach_length_cm, seed, known))
        return Objectives(whole, approach=matched_residuals(method, *part))


def fit_hits(
    model: PixelObservables,
    data: Observables,
    method: Method,
    name: str,
    *,
    target: Mapping[str, float],
    seed: int,
    extra: Mapping[str, float] | None = None,
    noisy: bool = False,
    on_iteration: Callable[[Progress], None] = lambda _: None,
    resume: Progress | None = None,
    tracks: Tracks | None = None,
    truth: Segments | None = None,
) -> FitResult:
    """Fit the free parameters of a method to hits: see `fit`, and `fit_unknown` where the segments are not known.

    `tracks` and `truth` are for `fit_unknown` alone.
    """
    if method.objective == "marginal_likelihood":
        check_method(method, name)
        return fit_unknown(
            model.model, data, method, name, target=target, seed=seed, extra=extra or {}, tracks=tracks, truth=truth,
            on_iteration=on_iteration, resume=resume,
        )  # fmt: skip
    objectives = Objectives.of(method, model, data, seed)
    return fit(
        objectives.whole,
        method,
        name,
        target=target,
        seed=seed,
        extra=extra or {},
        noisy=noisy,
        batches=objectives.batches,
        approach=objectives.approach,
        rounding=float(torch.finfo(model.model.settings.dtype).eps),
        on_iteration=on_iteration,
        resume=resume,
    )
