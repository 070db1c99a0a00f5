"""Settings of the external simulation edep-sim."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from .section import NotNegative, Positive, Section

#: Beginnings of the macro commands that a user may add: cuts, processes, segments and what is written. Others would
#: replace the primaries, the detector or the output, or start programs.
ALLOWED_COMMANDS = (
    "/edep/hit",
    "/edep/db/set/",
    "/edep/material/",
    "/edep/phys/",
    "/edep/validateGeometry",
    "/process/",
    "/physics_lists/",
    "/particle/",
    "/cuts/",
    "/run/setCut",
    "/run/verbose",
    "/event/verbose",
    "/tracking/verbose",
)


class EdepSim(Section):
    """edep-sim (Geant4), used where `sample.engine` is edep-sim; docs/edep-sim.md says how to install it."""

    executable: Annotated[str, Field(min_length=1)] = Field(
        "edep-sim", description="name of the program on PATH, or its path; in the container if there is one"
    )
    container: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="image (file or name) to run it in; null: it is installed on this machine"
    )
    runtime: Literal["apptainer", "singularity", "docker", "podman"] = Field(
        "apptainer", description="what runs the container"
    )
    physics_list: str = Field("QGSP_BERT", pattern=r"^[A-Za-z0-9_+]+$", description="physics list of Geant4")
    step_limit_cm: Positive | None = Field(
        0.5, description="longest step of charged particles in the drift volumes; null: as Geant4 chooses"
    )
    hit_length_cm: Positive = Field(0.3, description="steps are joined to segments up to about this length ...")
    hit_sagitta_cm: Positive = Field(0.1, description="... that deviate from a straight line by at most this")
    delta_ray_cm: NotNegative = Field(
        0.0, description="delta rays within this distance of a segment are added to it; 0: they have their own"
    )
    argon_margin_cm: Positive = Field(10.0, description="liquid argon around the drift volumes that records nothing")
    electric_field_kv_per_cm: NotNegative = Field(
        0.5,
        description="for edep-sim's own estimate of light, which is not read; deposits do not depend on it; 0: none",
    )
    macro: tuple[str, ...] = Field((), description="more macro commands, applied before the geometry is built")
    timeout_s: Positive | None = Field(None, description="stop edep-sim after this time; null: never")
    keep_inputs: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="folder to leave its inputs and its log in; null: they are removed"
    )

    @field_validator("executable", "container")
    @classmethod
    def _not_an_option(cls, text: str | None) -> str | None:
        if text is not None and (text.startswith("-") or not text.isprintable()):
            raise ValueError(
                f"{text!r} is not a name or path; it must not begin with a dash or hold control characters"
            )
        return text

    @field_validator("macro")
    @classmethod
    def _harmless(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        for line in lines:
            if not re.fullmatch(r"[ -~]+", line):
                raise ValueError(f"{line!r} is not one line of plain text")
            if not line.startswith(ALLOWED_COMMANDS):
                raise ValueError(f"{line!r} is not allowed here; commands may begin with {', '.join(ALLOWED_COMMANDS)}")
        return lines
