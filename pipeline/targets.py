"""True parameter points of a run: drawn from the table ranges or given by name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from .config.models import MEASURED, Config, Targets
from .errors import ConfigError
from .names import nearest
from .parameters import calibrated, nominal_values


def target_values(config: Config) -> dict[str, dict[str, float]]:
    """Targets of the configured scenario, by name: values of the six calibrated parameters and of any named besides.

    Drawn targets are called `target_1`, `target_2`, ...; number i is drawn by the generator seeded with
    `targets.seed + i - 1`, so that adding targets does not change those before.
    Named targets take nominal values for the calibrated parameters that they leave out. Hits that were recorded
    elsewhere (`data`) go by the name `MEASURED` and have no values; where there are any, they are all that a scenario
    fits which names no targets.

    Raises `ConfigError` if a name is given twice or a scenario asks for a target that does not exist.
    """
    known = _known(config.targets, config.targets.drawn)
    wanted = config.scenarios[config.scenario].targets or tuple(known)
    if config.data is not None:
        known[MEASURED] = {}
        wanted = config.scenarios[config.scenario].targets or (MEASURED,)
    elif MEASURED in wanted:
        raise ConfigError(
            f"scenarios.{config.scenario}.targets: {MEASURED!r} stands for hits recorded elsewhere; describe them in "
            "the section data."
        )
    return _chosen(known, wanted, f"scenarios.{config.scenario}.targets")


def measured(config: Config) -> bool:
    """Whether the configured scenario fits hits that were recorded elsewhere."""
    wanted = config.scenarios[config.scenario].targets or (MEASURED,)
    return config.data is not None and MEASURED in wanted


def study_targets(config: Config, drawn: int, names: tuple[str, ...], where: str) -> dict[str, dict[str, float]]:
    """Targets of a study, which asks for them at `where`: those called `names`, or else the first `drawn` that are
    drawn, whatever number of them a run has.

    Raises `ConfigError` as `target_values` does.
    """
    if names:
        return _chosen(_known(config.targets, config.targets.drawn), names, f"{where}.named_targets")
    return _known(config.targets.model_copy(update={"named": {}}), drawn)


def fitted_targets(
    config: Config, drawn: int, names: tuple[str, ...], free: Sequence[str], where: str
) -> dict[str, dict[str, float]]:
    """As `study_targets`, with the nominal values of those of the parameters `free` that a target does not name."""
    values = nominal_values()
    nominal = {name: values[name] for name in free}
    return {name: {**nominal, **own} for name, own in study_targets(config, drawn, names, where).items()}


def _known(targets: Targets, drawn: int) -> dict[str, dict[str, float]]:
    known = {f"target_{i + 1}": _drawn(targets.seed + i) for i in range(drawn)}
    for name, values in _named(targets).items():
        if name in known:
            raise ConfigError(f"targets.named.{name}: a drawn target has this name already; choose another.")
        known[name] = values
    return known


def _chosen(known: dict[str, dict[str, float]], wanted: tuple[str, ...], where: str) -> dict[str, dict[str, float]]:
    for name in wanted:
        if name not in known:
            raise ConfigError(f"{where}: there is no target {name!r}; did you mean {nearest(name, known)!r}?")
    return {name: known[name] for name in wanted}


def target_seed(seed: int, target: str) -> int:
    """Seed of the noise of one target, fixed by the seed of the run and the target's name alone."""
    digest = hashlib.sha256(f"{seed}/{target}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _drawn(seed: int) -> dict[str, float]:
    # RandomState has a stream that NumPy guarantees for ever. Published targets come from the same seeds, but their
    # other parameters were drawn in another order than that of the table: only A_B and k_B agree.
    random = np.random.RandomState(seed)
    return {p.name: float(random.uniform(p.low, p.high)) for p in calibrated()}


def _named(targets: Targets) -> dict[str, dict[str, float]]:
    nominal = {p.name: p.nominal for p in calibrated()}
    return {name: nominal | values for name, values in targets.named.items()}
