"""Files of DLPGenerator (https://github.com/DeepLearnPhysics/DLPGenerator), read as blocks of our generator.

Lengths are mm, times ns, energies GeV and axes those of edep-sim there.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ValidationError

from ..config.generator import Block, energy_limits
from ..errors import ConfigError
from ..names import nearest
from ..storage.yaml_text import Key, YamlText, dotted

_MM, _NS, _GEV = 0.1, 1e-3, 1e3

#: Keys at the root that are not blocks. The seed is that of our configuration.
_ROOT = ("SEED", "Debug")
_REQUIRED = ("NumEvent", "NumParticle", "XRange", "YRange", "ZRange", "TRange", "Particles")
_BLOCK = (*_REQUIRED, "AddParent")
_PARTICLE_REQUIRED = ("PDG", "NumRange", "KERange")
_PARTICLE = (*_PARTICLE_REQUIRED, "UseMom", "Weight")

#: Keys of later versions that change what is drawn, and what to do about them.
_LATER = {
    "InteractionSelection": "leave it out and make one sample for each block",
    "SelectionWeight": "leave it out and make one sample for each block",
    "ShootInward": "set it to False, or write the blocks in sample.generator.blocks with position faces",
}


def dlp_blocks(
    text: YamlText, drift_axis: Literal["x", "z"], direction: Literal["flat_theta", "isotropic"]
) -> dict[str, Block]:
    """Blocks by name, in cm, us and MeV in the simulation frame; `drift_axis` is the drift's in edep-sim's frame.

    `direction` is the law of the version in use: flat_theta before 1.1, isotropic since. `SEED` and `Debug` have no
    effect here, nor has `AddParent`, which adds a particle without track above those of a vertex: `vertex_id` says what
    belongs together. Energies from 0 begin at the lowest that can be transported. Raises `ConfigError` with file and
    line.
    """
    blocks: dict[str, Block] = {}
    for name, content in text.content.items():
        if name in _ROOT:
            continue
        if name in _LATER:
            raise _refused(text, (name,), f"this key of DLPGenerator is not known here; {_LATER[name]}")
        if not isinstance(content, dict):
            raise _refused(text, (name,), "a block of settings is needed; it is neither SEED nor Debug")
        blocks[name] = _block(text, name, content, drift_axis, direction)
    if not blocks:
        raise ConfigError(f"{text.origin} has no block of DLPGenerator; give one with NumEvent, Particles and so on.")
    return blocks


def _block(text: YamlText, name: str, content: dict[str, Any], drift_axis: str, direction: str) -> Block:
    at: Key = (name,)
    later = {key for key in _LATER if key in content and not (key == "ShootInward" and not content[key])}
    for key in sorted(later):
        raise _refused(text, (*at, key), f"this key of DLPGenerator is not known here; {_LATER[key]}")
    _known(text, at, {k: v for k, v in content.items() if k not in _LATER}, _BLOCK, _REQUIRED)
    x, y, z = (_range(text, (*at, f"{axis}Range"), content, _MM) for axis in "XYZ")
    particles = content["Particles"]
    if not isinstance(particles, list) or not particles:
        raise _refused(text, (*at, "Particles"), "a list of particles is needed, each with PDG, NumRange and KERange")
    species = [_species(text, (*at, "Particles", i), particle) for i, particle in enumerate(particles)]
    settings = {
        "vertices": _range(text, (*at, "NumEvent"), content),
        "particles": _range(text, (*at, "NumParticle"), content),
        "x_cm": z if drift_axis == "x" else x,
        "y_cm": y,
        "z_cm": x if drift_axis == "x" else z,
        "time_us": _range(text, (*at, "TRange"), content, _NS),
        "species": species,
        "direction": direction,
    }
    try:
        return Block.model_validate(settings)
    except ValidationError as error:
        raise _explained(text, at, error) from error


def _species(text: YamlText, at: Key, particle: Any) -> dict[str, Any]:
    """Settings of a species."""
    if not isinstance(particle, dict):
        raise _refused(text, at, "a particle is settings as `key: value`: PDG, NumRange, KERange")
    _known(text, at, particle, _PARTICLE, _PARTICLE_REQUIRED)
    codes = particle["PDG"] if isinstance(particle["PDG"], list) else [particle["PDG"]]
    if not codes or not all(isinstance(code, int) and not isinstance(code, bool) for code in codes):
        raise _refused(text, (*at, "PDG"), "a list of PDG codes is needed, whole numbers")
    ends = _range(text, (*at, "KERange"), particle, _GEV)
    momentum = particle.get("UseMom", False)
    if not isinstance(momentum, bool):
        raise _refused(text, (*at, "UseMom"), f"True or False is needed, not {momentum!r}")
    lowest = max(_floor(code, momentum) for code in codes)
    if ends[0] < 0:
        raise _refused(text, (*at, "KERange"), "an energy cannot be negative")
    # Below, a particle leaves no track: DLPGenerator's own examples begin at 0.
    raised = (max(ends[0], lowest), ends[1]) if ends[1] >= lowest else ends
    return {
        "pdg": tuple(codes),
        "number": _range(text, (*at, "NumRange"), particle),
        "momentum_mev" if momentum else "kinetic_energy_mev": raised,
        "weight": particle.get("Weight", 1.0),
    }


def _floor(code: int, momentum: bool) -> float:
    """Lowest kinetic energy [MeV], or momentum [MeV/c], at which a particle can be transported."""
    energy, _ = energy_limits(code)
    if not momentum:
        return energy
    from ..matter.particles import mass

    try:
        return float((energy * (energy + 2 * mass(code))) ** 0.5)
    except ValueError:  # an unknown particle, which is refused with its species
        return 0.0


def _range(text: YamlText, at: Key, content: dict[str, Any], unit: float = 0.0) -> tuple[Any, Any]:
    """The two ends under a key, times `unit`; 0: whole numbers."""
    ends = content[str(at[-1])]
    allowed = (int, float) if unit else int
    if (
        not isinstance(ends, list)
        or len(ends) != 2
        or not all(isinstance(end, allowed) and not isinstance(end, bool) for end in ends)
    ):
        raise _refused(text, at, f"[low, high] of two {'numbers' if unit else 'whole numbers'} is needed")
    return (ends[0] * unit, ends[1] * unit) if unit else (ends[0], ends[1])


def _known(text: YamlText, at: Key, content: dict[str, Any], keys: tuple[str, ...], required: tuple[str, ...]) -> None:
    """Refuse keys that are unknown or missing."""
    for key in content:
        if key not in keys:
            raise _refused(text, (*at, key), f"this is not a key of DLPGenerator; did you mean {nearest(key, keys)}?")
    for key in required:
        if key not in content:
            raise _refused(text, at, f"{key} is missing; add it")


def _explained(text: YamlText, at: Key, error: ValidationError) -> ConfigError:
    """What our settings have against a block, at the place in DLPGenerator's words."""
    first = error.errors(include_url=False)[0]
    names = {
        "vertices": "NumEvent",
        "particles": "NumParticle",
        "x_cm": "position",
        "y_cm": "position",
        "z_cm": "position",
        "time_us": "TRange",
        "species": "Particles",
        "pdg": "PDG",
        "number": "NumRange",
        "kinetic_energy_mev": "KERange",
        "momentum_mev": "KERange",
        "weight": "Weight",
    }
    key = tuple(names.get(str(part), part) if isinstance(part, str) else part for part in first["loc"])
    told = first.get("ctx", {}).get("error", first["msg"])
    return _refused(text, (*at, *key), str(told))


def _refused(text: YamlText, at: Key, sentence: str) -> ConfigError:
    return ConfigError(f"{text.place(at)}: {dotted(at)}: {sentence}{'' if sentence.endswith('?') else '.'}")
