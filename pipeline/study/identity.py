"""Which particle reconstructed tracks are taken for: confusion, efficiency, purity, and whether probabilities are true.

Two sets of tracks: the examples of the generator, each identified by what the examples of other events teach, and the
tracks of the sample, identified by what all examples teach. Examples are read from `reconstruct.particles.training`
where that is a file of them, and made here otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..config.models import Config
from ..config.particles import Identification
from ..detector.geometry import DetectorGeometry
from ..parameters import nominal_values
from ..reconstruct.classifier import Examples, balanced_loss, crossed, learn
from ..reconstruct.likelihood import posterior
from ..reconstruct.reconstruct import reconstruct
from ..simulate.setup import model_settings
from ..storage.identity import read_examples
from ..storage.pixels import load_pixels
from ..tables import SPECIES, Floats, Ints, Segments
from .identity_examples import Reconstructing, generated, known_tracks

#: Priors under which muons and pions are told apart: the contamination of the field's studies.
_CONTAMINATED = {"muon": 0.9, "pion": 0.1, "proton": 0.0, "kaon": 0.0, "electron": 0.0}


def run(
    config: Config,
    segments: Segments,
    geometry: DetectorGeometry,
    progress: Callable[[str], None],
    reconstructing: Reconstructing | None = None,
) -> dict[str, Any]:
    """Confusion matrices and calibration of every way to identify; `reconstructing` instead of the configured one.

    Raises `SelectionError` where too little is reconstructed of the examples.
    """
    settings, particles = config.study.identity, config.reconstruct.particles
    make = configured(config, geometry) if reconstructing is None else reconstructing
    if particles.training is not None and particles.training.endswith(".h5"):
        examples = read_examples(particles.training)
        examples = examples.take(examples.length >= settings.min_length_cm)
    else:
        examples = generated(config, geometry, make, settings.min_length_cm, progress)
    samples = {"generator": examples}
    events = np.unique(segments.event_id)[: settings.sample_events]
    if len(events):
        progress(f"{len(events)} events of the sample")
        chosen = segments.take(np.isin(segments.event_id, events))
        samples["sample"] = known_tracks(config, chosen, geometry, make, settings.min_length_cm, 0)
    log: dict[str, dict[str, Floats]] = {name: {} for name in samples}
    for way in settings.identifications:
        progress(f"identification by {way}")
        for name, known in samples.items():
            log[name][way] = _log_likelihood(way, known, examples, particles.likelihood_weight, settings.folds)
    return {
        "settings": settings.model_dump(mode="json"),
        "prior": particles.prior,
        "species": list(SPECIES),
        "samples": {
            name: {
                "tracks": _counts(known.species),
                "contained": float(known.contained.mean()) if len(known) else 0.0,
                "ways": {way: _of_way(config, known, found) for way, found in log[name].items()},
            }
            for name, known in samples.items()
        },
    }


def table(result: dict[str, Any]) -> str:
    """Efficiencies and purities as lines of text."""
    lines = []
    for name, sample in result["samples"].items():
        lines.append(f"{name}: {', '.join(f'{n} {kind}s' for kind, n in sample['tracks'].items())}")
        for way, found in sample["ways"].items():
            lines.append(
                f"{way}: mean of -ln p of the truth {found['loss']:.3f}; pions among 10 % in muons: "
                f"{_percent(found['pions']['stated'])} stated, {_percent(found['pions']['true'])} true"
            )
            lines.append(f"{'':<12}" + "".join(f"{s:>10}" for s in result["species"]) + "  purity [%]")
            for k, kind in enumerate(result["species"]):
                cells = "".join(f"{_percent(share):>10}" for share in found["confusion"][k])
                lines.append(f"{kind:<12}{cells}{_percent(found['purity'][k]):>12}")
    lines.append("rows: true species; columns: percent of them taken for; purity: where all species are as frequent")
    return "\n".join(lines)


def configured(config: Config, geometry: DetectorGeometry) -> Reconstructing:
    """Reconstruction as configured, with dE/dx from charge at nominal parameters."""
    settings = config.reconstruct.model_copy(update={"dedx": "charge"})
    pixels = load_pixels(config.readout.pixels, geometry)
    model = model_settings(config)
    return lambda hits: reconstruct(hits, geometry, nominal_values(), settings, model, pixels=pixels)


def _log_likelihood(way: Identification, known: Examples, examples: Examples, weight: float, folds: int) -> Floats:
    """`(n, 5)` log-likelihoods by one way, of tracks that it has not learned from."""
    if way == "likelihood":
        return weight * known.log_likelihood
    if known is examples:
        return crossed(way, examples, folds)
    return learn(way, examples).log_likelihood(known.features)


def _of_way(config: Config, known: Examples, log: Floats) -> dict[str, Any]:
    settings, species = config.study.identity, known.species
    even = dict.fromkeys(SPECIES, 1.0)
    probability = posterior(log, even)
    confusion = confusion_matrix(probability, species)
    inside = known.contained
    return {
        "loss": balanced_loss(probability, species, even) if len(species) else None,
        "confusion": _plain(confusion),
        "contained": _plain(confusion_matrix(probability[inside], species[inside])),
        "leaving": _plain(confusion_matrix(probability[~inside], species[~inside])),
        "purity": purity(confusion),
        "calibration": calibration(probability, species, even, settings.bins),
        "pions": _contamination(log, species),
        "pion_rejection": {
            name: _rejection(log[mask], species[mask])
            for name, mask in (("all", np.full(len(species), True)), ("contained", inside))
        },
    }


def confusion_matrix(probability: Floats, species: Ints) -> Floats:
    """`(5, 5)`: which share of the tracks of each species (row) is taken for each (column); NaN where there is none."""
    size = len(SPECIES)
    counts = np.bincount(species * size + probability.argmax(axis=1), minlength=size * size).reshape(size, size)
    total = counts.sum(axis=1, keepdims=True)
    return np.where(total > 0, counts / np.maximum(total, 1), np.nan)


def purity(confusion: Floats) -> list[float | None]:
    """Per species, which share of what is taken for it is it, where all that there are are as frequent."""
    there = np.nan_to_num(confusion)
    taken = there.sum(axis=0)
    return [float(there[k, k] / taken[k]) if taken[k] > 0 else None for k in range(len(taken))]


def calibration(
    probability: Floats, species: Ints, prior: Mapping[str, float], bins: int
) -> dict[str, list[dict[str, float]]]:
    """Per species and bin of its stated probability: mean of that, and how many of the tracks there are of it.

    Tracks have weights with which the species are as frequent as the prior says. Errors are binomial, for the number of
    tracks that the weights are worth.
    """
    wanted = np.array([prior[name] for name in SPECIES])
    count = np.bincount(species, minlength=len(SPECIES))
    weight = (wanted / np.maximum(count, 1))[species]
    found = {}
    for k, name in enumerate(SPECIES):
        if not count[k]:
            continue
        number = np.minimum((probability[:, k] * bins).astype(np.int64), bins - 1)
        rows = []
        for one in np.unique(number):
            inside = number == one
            w = weight[inside]
            share = float((w * (species[inside] == k)).sum() / w.sum())
            worth = float(w.sum() ** 2 / (w**2).sum())
            rows.append(
                {
                    "stated": float((w * probability[inside, k]).sum() / w.sum()),
                    "true": share,
                    # Of one track more on either side, so that 0 of n has an error too.
                    "error": float(np.sqrt((share * worth + 1) * ((1 - share) * worth + 1) / (worth + 2) ** 3)),
                    "tracks": int(inside.sum()),
                }
            )
        found[name] = rows
    return found


def _contamination(log: Floats, species: Ints) -> dict[str, float | None]:
    """The share of pions among muons that the probabilities add up to under a prior of 10 %, where 10 % are pions."""
    chosen = species <= 1
    muons, pions = (species[chosen] == 0), (species[chosen] == 1)
    if not muons.any() or not pions.any():
        return {"stated": None, "true": None, "loss": None}
    probability = posterior(log[chosen], _CONTAMINATED)
    weight = np.where(pions, 0.1 / pions.sum(), 0.9 / muons.sum())
    return {
        "stated": float((weight * probability[:, 1]).sum()),
        "true": 0.1,
        "loss": balanced_loss(probability, species[chosen], _CONTAMINATED),
    }


def _rejection(log: Floats, species: Ints) -> dict[str, list[float]] | None:
    """Shares of muons and of pions kept by a cut on their ratio, from the loosest cut to the strictest."""
    ratio = log[:, 0] - log[:, 1]
    muons, pions = np.sort(ratio[species == 0]), np.sort(ratio[species == 1])
    if not len(muons) or not len(pions):
        return None
    kept = np.linspace(1, 0.02, 50)
    cut = np.quantile(muons, 1 - kept)
    return {"muons": kept.tolist(), "pions": (1 - np.searchsorted(pions, cut) / len(pions)).tolist()}


def _counts(species: Ints) -> dict[str, int]:
    return {name: int((species == k).sum()) for k, name in enumerate(SPECIES)}


def _plain(matrix: Floats) -> list[list[float | None]]:
    return [[None if np.isnan(value) else float(value) for value in row] for row in matrix]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"
