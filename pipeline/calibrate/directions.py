"""The combinations of parameters that data know least, in words and numbers that can be checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..parameters import Parameter
from ..tables import Floats, Ints
from .information import Spectrum, chain

#: Directions with eigenvalues (of the information with unit diagonal) above this are not worth a sentence: for two
#: parameters it is 1 - |correlation|.
WORTH_SAYING = 0.1
#: Below this they are hardly told apart at all.
_HARDLY = 0.05
#: A few parameters stand for a direction if they make one that is not better known than this many times the eigenvalue.
_NEARLY = 1.5
#: Where a direction is not known at all, the largest of the moves that the sentence names.
_MOVE = 0.1


def weakest(spectrum: Spectrum, parameters: Sequence[Parameter], values: Mapping[str, float]) -> tuple[str, ...]:
    """A sentence for each direction that is hardly known, weakest first.

    Each names a step of few parameters that moves the fit by one standard deviation (raises 2 cost, a chi2, by 1), with
    all others where they are, and by how much each part of the step alone would move it. The spectrum is that of the
    information in the coordinates that fits move in, at `values`.
    """
    if not spectrum.finite or spectrum.indefinite:
        return ()
    sentences = []
    for k in np.flatnonzero(spectrum.eigenvalues < WORTH_SAYING):
        few, step = _few(spectrum, int(k))
        moved = chain(parameters, values)[few] * step / spectrum.scale[few]
        chosen = [parameters[i] for i in few]
        sentences.append(
            _sentence(chosen, values, moved, step, held=bool(spectrum.held[k]), spectrum=spectrum, few=few)
        )
    # Directions that share their few parameters may end in the same words.
    return tuple(dict.fromkeys(sentences))


def _few(spectrum: Spectrum, k: int) -> tuple[Ints, Floats]:
    """The fewest parameters that make direction `k`, and the step of them in units of conditional sigmas that moves the
    fit by one sigma (of length 1 where the direction is not held)."""
    vector, value = spectrum.eigenvectors[:, k], spectrum.eigenvalues[k]
    largest = np.argsort(-np.abs(vector), kind="stable")
    allowed = max(_NEARLY * value, spectrum.precision * spectrum.eigenvalues[-1])
    for count in range(1, len(vector) + 1):
        few = np.sort(largest[:count])
        eigenvalues, eigenvectors = np.linalg.eigh(spectrum.normalised[np.ix_(few, few)])
        nearest = int(np.abs(eigenvectors.T @ vector[few]).argmax())
        if eigenvalues[nearest] <= allowed:
            break
    step = eigenvectors[:, nearest]
    return few, step / np.sqrt(eigenvalues[nearest]) if spectrum.held[k] else step


def _sentence(
    chosen: Sequence[Parameter],
    values: Mapping[str, float],
    moved: Floats,
    step: Floats,
    *,
    held: bool,
    spectrum: Spectrum,
    few: Ints,
) -> str:
    """The sentence of a step `moved` `(n,)` (physical units), `step` in conditional sigmas."""
    moved = moved * np.sign(moved[0] or 1.0)
    if not held:
        size = np.array([_size(p, values[p.name]) for p in chosen])
        moved = moved * _MOVE / np.abs(moved / size).max()
    moves = _moves(chosen, values, moved)
    names = _and([p.symbol for p in chosen])
    if not held:
        if len(chosen) == 1:
            return f"{names} is not determined by these data: {moves} changes nothing."
        return f"{names} cannot be told apart: {moves} together changes nothing in the fit."
    # The length of the step is 1 / sqrt(eigenvalue).
    how = "hardly told apart" if step @ step > 1 / _HARDLY else "not told apart well"
    alone = _and([f"{p.symbol} alone by {_number(abs(s))}" for p, s in zip(chosen, step, strict=True)])
    correlation = ""
    if len(chosen) == 2 and spectrum.known[few].all():
        covariance = spectrum.inverse()[np.ix_(few, few)]
        # Coordinates may run against the values.
        sign = np.sign(np.prod([p.derivative(values[p.name]) for p in chosen]))
        correlation = f"; correlation {sign * covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]):.3f}"
    return f"{names} are {how}: {moves} together moves the fit by only one standard deviation, {alone}{correlation}."


def _size(parameter: Parameter, value: float) -> float:
    """What a move is compared with: the value, or the range where nominal is nothing."""
    return abs(value) if parameter.nominal else parameter.high - parameter.low


def _moves(chosen: Sequence[Parameter], values: Mapping[str, float], moved: Floats) -> str:
    """ "raising A_B by 2 % and k_B by 20 %"."""
    parts, before = [], ""
    for parameter, by in zip(chosen, moved, strict=True):
        verb = "raising " if by > 0 else "lowering "
        size = f"{_number(abs(by))} {parameter.unit}".rstrip()
        if parameter.nominal:
            size = f"{_number(100 * abs(by / values[parameter.name]))} %"
        parts.append(f"{verb if verb != before else ''}{parameter.symbol} by {size}")
        before = verb
    return _and(parts)


def _number(size: float) -> str:
    """Two digits: what a sentence can bear."""
    return f"{float(f'{size:.2g}'):g}"


def _and(parts: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
