"""What all parts of the configuration are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _free(name: str) -> str:
    """Refuse names that the workflow has its own folders and files by."""
    if name.lower() in ("logs", "benchmarks"):
        raise ValueError(f"{name!r} is a folder of the workflow's own; choose another name")
    if name.lower().endswith((".h5", ".html", ".json")):
        raise ValueError(f"{name!r} ends like a file of results; choose a name without this ending")
    return name


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"), AfterValidator(_free)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)
