"""The event display: one event in the detector, in three dimensions (Fig. 13 of arXiv:2309.04639)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..detector.geometry import DetectorGeometry, Tpc
from ..errors import ConfigError
from ..tables import Floats, Segments
from . import words
from .curves import Figure, numbers

#: Ends of the logarithmic colour scale [MeV/cm], the same on every page so that pages can be compared.
DEDX_RANGE = (1.0, 30.0)
_TICKS = (1, 2, 3, 5, 10, 20, 30)
#: All steps are visible on white, the most frequent (minimum ionising) in a calm blue.
_SCALE = ((0.0, "#6baed6"), (0.15, "#2c5f9e"), (0.4, "#2a9d6f"), (0.6, "#e9a23b"), (0.8, "#d1495b"), (1.0, "#5b1a5e"))
#: More deposits than this are not drawn: the largest are, and the page says so.
MOST_SEGMENTS = 15_000
_ANODE, _CATHODE, _INK = "#7d8fa3", "#b07d2b", "#1f2933"


def choose_event(segments: Segments, wanted: int | None) -> int:
    """The configured event, or the one with most deposits (the first of several).

    Raises `ConfigError` if the sample has no such event.
    """
    events, deposits = np.unique(segments.event_id, return_counts=True)
    if wanted is None:
        return int(events[np.argmax(deposits)])
    if wanted not in events:
        raise ConfigError(
            f"report.display_event: the selected sample has no event {wanted}; its {len(events)} events are numbered "
            f"{events[0]} to {events[-1]}; choose one of them or null."
        )
    return wanted


def largest_deposits(segments: Segments) -> Segments:
    """At most `MOST_SEGMENTS` rows, those with the largest energy, in their old order."""
    if len(segments) <= MOST_SEGMENTS:
        return segments
    kept = np.sort(np.argsort(-segments.dE, kind="stable")[:MOST_SEGMENTS])
    return segments.take(kept)


def event_display(segments: Segments, geometry: DetectorGeometry) -> Figure:
    """The deposits of one event, the anodes, the cathode and the direction of the drift; lengths in cm.

    `segments` of one event, simulation frame. One trace holds all deposits, separated by gaps and coloured by vertex.
    """
    data = [_deposits(segments)]
    for name, z, colour in _planes(geometry):
        data += _plane(name, z, colour, geometry)
    for tpc in geometry.tpcs:
        data += _drift_arrow(tpc, geometry)
    # No background walls: they would hide the names of the planes.
    scene_axis = {"gridcolor": "#e4e7eb", "showbackground": False, "zeroline": False, "nticks": 6}
    layout = {
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#1f2933"},
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#7b8794", "activecolor": "#1f2933"},
        "scene": {
            "xaxis": {**scene_axis, "title": {"text": "x [cm]"}},
            "yaxis": {**scene_axis, "title": {"text": "y, up [cm]"}},
            "zaxis": {**scene_axis, "title": {"text": "z, drift [cm]"}},
            "aspectmode": "data",
            "camera": {
                "up": {"x": 0, "y": 1, "z": 0},
                "center": {"x": 0, "y": -0.1, "z": 0},
                "eye": {"x": 2.15, "y": 0.55, "z": 1.4},
            },
            "dragmode": "orbit",
        },
    }
    return {"data": data, "layout": layout}


def _deposits(segments: Segments) -> Figure:
    n = len(segments)
    vertices: Floats = np.full((n, 3, 3), np.nan)
    vertices[:, 0], vertices[:, 1] = segments.start, segments.end
    low, high = DEDX_RANGE
    colour = np.log10(np.clip(segments.dEdx, low, high))
    hover: list[Any] = []
    for dedx, energy, pdg, track in zip(segments.dEdx, segments.dE, segments.pdg_id, segments.traj_id, strict=True):
        row = [f"{dedx:.3g}", f"{energy:.3g}", words.species(int(pdg)), int(track)]
        hover += [row, row, None]
    return {
        "type": "scatter3d",
        "mode": "lines",
        "name": "energy deposits",
        "x": numbers(vertices[:, :, 0], 5),
        "y": numbers(vertices[:, :, 1], 5),
        "z": numbers(vertices[:, :, 2], 5),
        "customdata": hover,
        "connectgaps": False,
        "line": {
            "width": 5,
            "color": numbers(np.repeat(colour, 3), 4),
            "colorscale": [list(step) for step in _SCALE],
            "cmin": float(np.log10(low)),
            "cmax": float(np.log10(high)),
            "showscale": True,
            "colorbar": {
                "title": {"text": "dE/dx [MeV/cm]", "side": "right"},
                "tickvals": numbers(np.log10(_TICKS), 6),
                "ticktext": [f"≥ {t}" if t == high else (f"≤ {t}" if t == low else str(t)) for t in _TICKS],
                "thickness": 14,
                "len": 0.7,
                "x": 1.0,
                "xanchor": "right",
            },
        },
        "hovertemplate": (
            "%{customdata[2]}, track %{customdata[3]}<br>dE/dx %{customdata[0]} MeV/cm<br>dE %{customdata[1]} MeV"
            "<br>x %{x:.1f}, y %{y:.1f}, z %{z:.1f} cm<extra></extra>"
        ),
    }


def _planes(geometry: DetectorGeometry) -> list[tuple[str, float, str]]:
    """Name, position along the drift [cm] and colour of each anode and of the cathodes between them."""
    anodes = [(f"anode (TPC {t.tpc})", t.z_anode, _ANODE) for t in geometry.tpcs]
    # Drift volumes back to back share a thin cathode: faces closer than 1 cm are drawn as one plane.
    faces = sorted(t.z_cathode for t in geometry.tpcs)
    shared: list[list[float]] = []
    for face in faces:
        if shared and face - shared[-1][-1] < 1.0:
            shared[-1].append(face)
        else:
            shared.append([face])
    return anodes + [("cathode", float(np.mean(group)), _CATHODE) for group in shared]


def _plane(name: str, z: float, colour: str, geometry: DetectorGeometry) -> list[Figure]:
    (x0, x1), (y0, y1) = geometry.x_range, geometry.y_range
    corners = {"x": [x0, x1, x1, x0], "y": [y0, y0, y1, y1], "z": [z] * 4}
    outline = {key: [*values, values[0]] for key, values in corners.items()}
    return [
        {
            "type": "mesh3d", **corners, "i": [0, 0], "j": [1, 2], "k": [2, 3],
            "color": colour, "opacity": 0.15, "name": name, "hoverinfo": "skip", "showscale": False,
        },
        {
            "type": "scatter3d", "mode": "lines", **outline, "name": name, "hoverinfo": "skip",
            "line": {"color": colour, "width": 3},
        },
        {
            "type": "scatter3d", "mode": "text", "x": [x1], "y": [y1 + 5.0], "z": [z], "text": [name],
            "textfont": {"color": colour, "size": 13}, "name": name, "hoverinfo": "skip",
        },
    ]  # fmt: skip


def _drift_arrow(tpc: Tpc, geometry: DetectorGeometry) -> list[Figure]:
    """An arrow from the cathode to the anode below the volume, where it hides no track."""
    x, y = geometry.x_range[1], geometry.y_range[0] - 7.0
    span = tpc.z_anode - tpc.z_cathode
    tail, tip = tpc.z_cathode + 0.2 * span, tpc.z_cathode + 0.8 * span
    return [
        {
            "type": "scatter3d", "mode": "lines", "x": [x, x], "y": [y, y], "z": [tail, tip], "name": "drift",
            "line": {"color": _INK, "width": 4}, "hoverinfo": "skip",
        },
        {
            "type": "cone", "x": [x], "y": [y], "z": [tip], "u": [0], "v": [0], "w": [float(np.sign(span))],
            "anchor": "cm", "sizemode": "absolute", "sizeref": 5, "showscale": False, "hoverinfo": "skip",
            "name": "drift", "colorscale": [[0, _INK], [1, _INK]],
        },
        {
            "type": "scatter3d", "mode": "text", "x": [x], "y": [y], "z": [tpc.z_cathode + 1.05 * span],
            "text": ["electrons"], "textfont": {"color": _INK, "size": 12}, "hoverinfo": "skip", "name": "drift",
        },
    ]  # fmt: skip
