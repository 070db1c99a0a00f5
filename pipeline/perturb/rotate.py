"""Perturbation `rotate`: every track turned by a small angle."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from ..config.section import NotNegative, Seed
from ..tables import Floats, Segments
from .base import Context, Finite, Perturbation, Perturbed, consistent, moved
from .draws import normals, uniforms
from .record import Drawn
from .tracks import Tracks, tracks_of


class Rotate(Perturbation):
    """A rotation of each track, by a given angle or one drawn from a Gaussian distribution."""

    kind: Literal["rotate"] = "rotate"
    seed: Seed = Field(1, description="seed of the draws")
    angle_mrad: Finite | None = Field(None, description="the same angle for all tracks ...")
    sigma_mrad: NotNegative | None = Field(None, description="... or the width of a Gaussian distribution about 0")
    axis: Literal["perpendicular", "isotropic", "x", "y", "z"] = Field(
        "perpendicular",
        description="axis of the rotation: drawn perpendicular to the track, so that its direction changes by the "
        "whole angle; drawn isotropically; or given",
    )
    about: Literal["centre", "start"] = Field("centre", description="point of the track that stays where it is")

    @model_validator(mode="after")
    def _one_angle(self) -> Rotate:
        if (self.angle_mrad is None) == (self.sigma_mrad is None):
            raise ValueError("a rotation needs either angle_mrad or sigma_mrad; give one of the two")
        return self


def rotate(segments: Segments, settings: Rotate, context: Context) -> Perturbed:
    """`r -> p + R (r - p)` with a rotation R of each track about its own point p; lengths and dE stay.

    The centre is that of the path: the mean of the middles of the deposits, weighted by their lengths. A track that
    ends where it began has no perpendicular; its axis is drawn isotropically.
    """
    tracks = tracks_of(segments)
    n = len(tracks)
    if settings.sigma_mrad is None:
        angle = np.full(n, settings.angle_mrad, dtype=np.float64)
    else:
        angle = settings.sigma_mrad * normals(settings.seed, "rotate angle", tracks.event_id, tracks.traj_id)[:, 0]
    axis = _axes(segments, tracks, settings)
    point = _points(segments, tracks, settings.about)
    turn = 1e-3 * angle[tracks.index]
    u, p = axis[tracks.index], point[tracks.index]
    start, end = (p + _turned(r - p, u, turn) for r in (segments.start, segments.end))
    result = consistent(segments.replace(start=start, end=end))
    values = {"angle": angle} | {f"axis_{name}": axis[:, i] for i, name in enumerate("xyz")}
    record = Drawn(tracks.event_id, tracks.traj_id, values, {"angle": "mrad"})
    return Perturbed(result, record, moved(segments, result, context.geometry))


def _axes(segments: Segments, tracks: Tracks, settings: Rotate) -> Floats:
    """`(tracks, 3)` unit vectors."""
    if settings.axis in ("x", "y", "z"):
        return np.tile(np.eye(3)["xyz".index(settings.axis)], (len(tracks), 1))
    u = uniforms(settings.seed, "rotate axis", tracks.event_id, tracks.traj_id)
    cosine, azimuth = 2 * u[:, 0] - 1, 2 * np.pi * u[:, 1]
    sine = np.sqrt(1 - cosine**2)
    isotropic = np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine], axis=1)
    if settings.axis == "isotropic":
        return isotropic
    along = segments.end[tracks.last] - segments.start[tracks.first]
    length = np.linalg.norm(along, axis=1)
    along = np.divide(along, length[:, None], out=np.zeros_like(along), where=length[:, None] > 0)
    # The axis of the frame that is most nearly perpendicular gives two vectors across the track, never small ones.
    helper = np.eye(3)[np.argmin(np.abs(along), axis=1)]
    first = np.cross(along, helper)
    size = np.linalg.norm(first, axis=1, keepdims=True)
    first = np.divide(first, size, out=np.zeros_like(first), where=size > 0)
    across = np.cos(azimuth)[:, None] * first + np.sin(azimuth)[:, None] * np.cross(along, first)
    return np.where((length > 0)[:, None], across, isotropic)


def _points(segments: Segments, tracks: Tracks, about: str) -> Floats:
    """`(tracks, 3)` points [cm] that stay where they are."""
    if about == "start":
        return segments.start[tracks.first]
    weight = segments.length
    total = np.bincount(tracks.index, weight)
    # Deposits without any length count alike.
    weight = np.where(total[tracks.index] > 0, weight, 1.0)
    total = np.bincount(tracks.index, weight)
    return np.stack([np.bincount(tracks.index, weight * c) / total for c in segments.centre.T], axis=1)


def _turned(vector: Floats, axis: Floats, angle: Floats) -> Floats:
    """Vectors `(n, 3)` rotated about unit vectors by angles [rad]: the formula of Rodrigues."""
    sine, cosine = np.sin(angle)[:, None], np.cos(angle)[:, None]
    along = np.sum(axis * vector, axis=1, keepdims=True)
    return np.asarray(vector * cosine + np.cross(axis, vector) * sine + axis * along * (1 - cosine))
