"""The figures of arXiv:2309.04639 that need the forward model alone: 2 to 8, 13 and 14."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..parameters import table
from . import words
from .plots import BLUE, BROWN, COLOURS, GREEN, GREY, ORANGE, PURPLE, label, panels, range_bars

Result = Mapping[str, Any]

#: Published times [ms/cm] of the code of arXiv:2309.04639 on an A100, without and with gradient.
PUBLISHED_MS_PER_CM = (70.0, 250.0)

_FORWARD: dict[str, Any] = {"color": BLUE, "marker": "o", "markersize": 4}
_GRADIENT: dict[str, Any] = {"color": ORANGE, "marker": "s", "markersize": 4}


def settings_in_words(result: Result) -> str:
    """How the model was computed, e.g. "float64, default accuracy, 2 threads on cpu"."""
    used = result["settings"]
    threads = words.count(used["threads"], "thread")
    return f"{used['dtype']}, {used['accuracy']} accuracy, {threads} on {used['device']}"


def step(result: Result) -> tuple[Figure, str]:
    """Fig. 2: a step, its sigmoids, and the integral that physics makes of it."""
    curves = result["step"]
    time = np.array(curves["time"])
    figure, (value, slope) = panels()
    value.plot(time, curves["hard"], color="black", drawstyle="steps-mid", label="hard step")
    for shade, sigmoid in zip(("#f3b58c", "#e58138", "#a34700"), curves["sigmoid"], strict=False):
        name = f"sigmoid, width {sigmoid['width']:g} μs"
        value.plot(time, sigmoid["value"], color=shade, linestyle="--", label=name)
        slope.plot(time, sigmoid["slope"], color=shade, linestyle="--")
    for shade, exact in zip(("#7fb8d8", "#2a8abf", "#00436b"), curves["exact"], strict=False):
        name = f"diffusion, {exact['distance_cm']:g} cm (σ = {exact['width']:.2f} μs)"
        value.plot(time, exact["value"], color=shade, label=name)
        slope.plot(time, exact["slope"], color=shade)
    value.set(ylabel="share of the charge before the edge", ylim=(-0.05, 1.95))
    value.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    value.legend(loc="upper left", ncols=1, fontsize=8.5)
    slope.axhline(0, color="black", label="hard step: 0, or none")
    slope.set(ylabel="derivative [1/μs]", ylim=(-0.2, 7.5))
    slope.legend(loc="upper right")
    for ax in (value, slope):
        ax.set(xlabel="clock edge after the arrival of the charge [μs]", xlim=(time[0], time[-1]))
    return figure, (
        "Charge that arrives before a clock edge. Summed on a clock grid it is a step, whose derivative is zero. A "
        "sigmoid in its place (dashed, three widths) has a derivative, of a width that somebody chose. Here nothing "
        "is chosen: "
        "longitudinal diffusion spreads the arrival, and the charge is the Gaussian integral (solid, after "
        "three drift distances at the nominal parameters), whose derivative is exact."
    )


def hit(result: Result) -> tuple[Figure, str]:
    """Fig. 3: a hit on whole ticks, interpolated, and exact, against two parameters."""
    figure, axes = panels(rows=2, height=3.2)
    kinds = (("time", "hit time [μs]", "time_slope"), ("adc", "hit charge [ADC counts]", "adc_slope"))
    for row, (key, title, slope) in enumerate(kinds):
        for column, (name, curves) in enumerate(result["hit"].items()):
            _hit_panel(axes[2 * row + column], name, curves, key, slope)
            axes[2 * row + column].set_ylabel(title)
    axes[0].legend(loc="best")
    steps = len(set(next(iter(result["hit"].values()))["ticks"]["time"]))
    track = result["track"]
    return figure, (
        f"Time and charge of the first hit of one pixel against two parameters, for a made-up track of "
        f"{track['dedx']:g} MeV/cm about {track['distance_cm']:g} cm from the anode. On whole clock ticks (black) "
        f"time moves in steps "
        f"({words.count(steps, 'value')} over the range of the field): its derivative is zero or does not exist, and "
        f"the charge "
        "jumps with it. Interpolated between ticks (dashed) it is continuous, with kinks. This model (solid) solves "
        "for "
        "the crossing of the threshold; the short lines are its derivatives by the implicit function theorem. The "
        "field is varied "
        "by ±0.5 % only, or the ticks could not be seen."
    )


def _hit_panel(ax: Axes, name: str, curves: Result, key: str, slope: str) -> None:
    parameter = table()[name]
    scale = words.scaled(parameter, 1.0)
    x = np.array(curves["values"]) * scale
    ax.plot(x, curves["ticks"][key], color="black", linewidth=1.0, drawstyle="steps-mid", label="whole ticks")
    ax.plot(x, curves["interpolated"][key], color=ORANGE, linestyle="--", label="interpolated")
    ax.plot(x, curves["exact"][key], color=BLUE, linewidth=1.4, label="exact")
    reach = 0.06 * (x[-1] - x[0])
    for number, t in enumerate(curves["tangents"]):
        along = np.array([-reach, reach])
        rise = along / scale * t[slope]
        text = "exact derivative" if number == 0 else None
        ax.plot(t["value"] * scale + along, t[key] + rise, color=GREEN, linewidth=3.5, alpha=0.8, label=text)
    ax.set(xlabel=label(parameter), xlim=(x[0], x[-1]))
    ax.ticklabel_format(useOffset=False)


def time_against_length(result: Result, sample: str) -> tuple[Figure, str]:
    """Fig. 4: time to simulate against the length of track."""
    rows = result["lengths"]
    length = np.array([r["length_cm"] for r in rows])
    figure, (total, per_cm) = panels()
    for key, look, text, published in (
        ("forward", _FORWARD, "hits", PUBLISHED_MS_PER_CM[0]),
        ("gradient", _GRADIENT, "hits and gradient", PUBLISHED_MS_PER_CM[1]),
    ):
        seconds = np.array([r[f"{key}_s"] for r in rows])
        ranges = np.array([r[f"{key}_range_s"] for r in rows])
        range_bars(total, length, seconds, ranges, label=text, **look)
        range_bars(per_cm, length, 1e3 * seconds / length, 1e3 * ranges / length[:, None], label=text, **look)
        line: dict[str, Any] = {"color": look["color"], "linestyle": ":", "linewidth": 1.4}
        total.plot(length, 1e-3 * published * length, label=f"published: {published:g} ms/cm (A100)", **line)
    total.set(xscale="log", yscale="log", xlabel="length of track [cm]", ylabel="time [s]")
    per_cm.set(xscale="log", xlabel="length of track [cm]", ylabel="time per length [ms/cm]", ylim=(0, None))
    total.legend(loc="upper left")
    per_cm.legend(loc="upper right")
    last = rows[-1]
    return figure, (
        f"Time to simulate whole tracks of {sample} against their length; {settings_in_words(result)}; medians, and "
        f"bars from the "
        f"shortest to the longest of at most five runs. All {words.count(last['length_cm'])} cm: "
        f"{1e3 * last['forward_s'] / last['length_cm']:.2g} ms/cm, {1e3 * last['gradient_s'] / last['length_cm']:.2g} "
        f"ms/cm with the gradient of a loss "
        "to six parameters. Dotted: what arXiv:2309.04639 quotes for its code on an A100. Setting up a sample (pairing "
        "deposits and pixels), done once in a fit, is not in the times."
    )


def batch_times(result: Result, sample: str) -> tuple[Figure, str]:
    """Fig. 5: times of batches."""
    rows = result["batches"]
    length = np.array([r["length_cm"] for r in rows])
    figure, (spread, against) = panels()
    times = {key: 1e3 * np.array([r[f"{key}_s"] for r in rows]) for key in ("forward", "gradient")}
    edges = np.linspace(0, 1.05 * max(t.max() for t in times.values()), 31).tolist()
    for t, look, text in zip(times.values(), (_FORWARD, _GRADIENT), ("hits", "hits and gradient"), strict=True):
        name = f"{text}: median {np.median(t):.0f} ms"
        spread.hist(t, edges, histtype="stepfilled", alpha=0.35, color=look["color"])
        spread.hist(t, edges, histtype="step", color=look["color"], linewidth=1.6, label=name)
        against.plot(length, t, linestyle="", label=text, **look)
    spread.set(xlabel="time of a batch [ms]", ylabel="batches")
    spread.margins(y=0.25)
    against.set(xlabel="length of the batch [cm]", ylabel="time of a batch [ms]", xlim=(0, None), ylim=(0, None))
    spread.legend(loc="upper left")
    against.legend(loc="upper left")
    return figure, (
        f"Times of {len(rows)} batches of whole tracks of {sample}, filled up to 100 cm "
        f"({length.min():.0f} to {length.max():.0f} cm; tracks of an event that can reach a common pixel "
        f"stay in one batch, however long); {settings_in_words(result)}. An iteration of a "
        "fit in mini-batches takes one of these, besides its loss; arXiv:2309.04639 quotes 25 s for an iteration of "
        "its "
        "code on an A100."
    )


def differentiable(result: Result, sample: str) -> tuple[Figure, str]:
    """Fig. 6: a differentiable run against one that is not."""
    rows = result["batches"]
    forward, gradient = (1e3 * np.array([r[key] for r in rows]) for key in ("forward_s", "gradient_s"))
    figure, (times, apart) = panels()
    ratio = statistics.median(gradient / forward)
    top = 1.1 * max(gradient.max(), forward.max())
    times.plot(forward, gradient, linestyle="", marker="o", markersize=4, color=BLUE, label="a batch")
    ends = np.array([0, top])
    times.plot(ends, ends, color=GREY, linestyle=":", label="equal")
    times.plot(ends, ratio * ends, color=ORANGE, label=f"median ratio {ratio:.2f}")
    times.set(
        xlim=(0, 1.1 * forward.max()),
        ylim=(0, top),
        xlabel="time, hits alone [ms]",
        ylabel="time, hits and gradient [ms]",
    )
    times.legend(loc="upper left")
    edges = np.array(result["difference_edges"])
    rms, most = {}, 1.0
    for name, colour, text in (("adc", BLUE, "charge [ADC counts]"), ("t", ORANGE, "time [μs]")):
        parts = [r["single_precision"] for r in rows]
        counts = np.sum([p[name]["counts"] for p in parts], axis=0)
        matched = sum(p["matched"] for p in parts)
        rms[name] = math.sqrt(sum(p[name]["squares"] for p in parts) / max(matched, 1))
        most = max(most, float(counts.max()))
        apart.stairs(counts, edges, color=colour, linewidth=1.8, label=f"{text}, rms {rms[name]:.1g}")
    apart.set(
        xscale="log",
        yscale="log",
        xlabel="|difference| of a hit, single against double precision",
        ylabel="hits",
        xlim=(edges[0], edges[-1]),
        ylim=(0.7, 200 * most),
    )
    apart.legend(loc="upper right", title="differentiable in double precision,\nhits alone in single precision")
    same = [r["same_precision"] for r in rows]
    hits = sum(r["hits"] for r in rows)
    if all(r["identical"] for r in rows):
        verdict = f"all {words.count(hits)} hits are the same to the last bit (rms difference 0)"
    else:
        worst = max(s["adc"]["largest"] for s in same)
        verdict = f"{sum(not r['identical'] for r in rows)} batches differ, by up to {worst:.2g} ADC counts"
    alone = sum(r["single_precision"]["unmatched"] for r in rows)
    return figure, (
        f"Differentiable runs against runs of the same model without derivatives, on {len(rows)} batches of {sample}; "
        f"{settings_in_words(result)}. Left: the gradient of a loss to six parameters makes a run {ratio:.2f} times "
        f"as long (median). At the "
        f"same precision {verdict}. Right: a differentiable run in double precision against hits alone in single "
        f"precision: "
        f"rms {rms['adc']:.1g} ADC counts and {rms['t']:.1g} μs, {words.count(alone, 'hit')} on one side only; "
        f"readout noise is about "
        "1 ADC count. The first bin holds everything below it."
    )


def memory(result: Result, sample: str) -> tuple[Figure, str]:
    """Fig. 7: estimated against measured memory."""
    rows = result["memory"]
    figure, (ax,) = panels(columns=1, height=4.2)
    figure.set_size_inches(6.4, 4.2)
    top = 1.08 * max(max(r["measured_mib"], r["estimated_mib"]) for r in rows)
    configured = result["settings"]["block_pairs"]
    for kind, colour, marker, text in (
        ("length", BLUE, "o", f"lengths of track, blocks of {configured}"),
        ("block", ORANGE, "s", "sizes of blocks, 256 to 131072"),
    ):
        of_kind = [r for r in rows if r["kind"] == kind]
        x, y = ([r[f"{k}_mib"] for r in of_kind] for k in ("measured", "estimated"))
        ax.plot(x, y, linestyle="", marker=marker, color=colour, label=text)
    ax.plot([0, top], [0, top], color=GREY, linestyle=":", label="equal")
    ax.set(xlim=(0, top), ylim=(0, top), xlabel="measured memory [MiB]", ylabel="estimated memory [MiB]")
    ax.legend(loc="lower right")
    over = [r["estimated_mib"] / r["measured_mib"] for r in rows]
    program = max(r["program_mib"] for r in rows)
    bound = "never below what was" if min(over) >= 1 else "not always above what was"
    return figure, (
        f"Memory of a simulation with derivatives of {sample}, beyond the program itself (about {program:.0f} MiB): "
        "the estimate that is held against simulate.memory_limit_mib, and the peak measured in processes of their own; "
        f"{settings_in_words(result)}. "
        f"The estimate is {bound} measured here ({min(over):.1f} to {max(over):.1f} times); it depends on numbers of "
        "pairs alone, not on the angles of tracks or the number of their hits."
    )


def block_size(result: Result, sample: str) -> tuple[Figure, str]:
    """Fig. 8: time and memory against the size of blocks."""
    rows, measured = result["blocks"], [r for r in result["memory"] if r["kind"] == "block"]
    figure, (times, sizes) = panels()
    pairs = [r["block_pairs"] for r in rows]
    range_bars(times, pairs, [r["gradient_s"] for r in rows], [r["gradient_range_s"] for r in rows], **_GRADIENT)
    times.set(ylabel="time, hits and gradient [s]", ylim=(0, None))
    of = [r["block_pairs"] for r in measured]
    sizes.plot(of, [r["estimated_mib"] for r in measured], color=PURPLE, marker="^", linestyle="--", label="estimated")
    sizes.plot(of, [r["measured_mib"] for r in measured], color=GREEN, marker="o", label="measured")
    sizes.set(ylabel="memory beyond the program [MiB]", ylim=(0, None))
    for ax in (times, sizes):
        ax.axvline(result["settings"]["block_pairs"], color=GREY, linestyle=":", label="as configured")
        ax.set_xscale("log", base=2)
        ax.set(xlabel="simulate.block_pairs (packets × pixels in a block)")
        ax.legend(loc="upper right" if ax is times else "upper left")
    best = min(rows, key=lambda r: r["gradient_s"])
    return figure, (
        f"Cost of {rows[0]['length_cm']:.0f} cm of {sample} against the size of the blocks that the work is cut into; "
        f"{settings_in_words(result)}. Small blocks lose time in overhead, large ones take memory; the shortest time "
        f"was measured at "
        f"{best['block_pairs']}. At the right end the work is in {words.count(rows[-1]['blocks'], 'block')}."
    )


def track_lengths(result: Result, sample: str) -> tuple[Figure, str]:
    """Figs. 13 and 14: lengths of tracks by species, before and after the cuts."""
    edges, cut = np.array(result["edges_cm"]), result["min_track_length_cm"]
    figure, axes = panels()
    for ax, key, title in zip(
        axes, ("counts", "kept_counts"), ("all tracks", "tracks that the cuts keep"), strict=True
    ):
        for row, colour in zip(result["species"], (*COLOURS, BROWN), strict=False):
            if sum(row[key]):
                number = words.count(sum(row[key]))
                ax.stairs(row[key], edges, color=colour, linewidth=1.6, label=f"{row['name']} ({number})")
        if cut is not None:
            ax.axvline(cut, color="black", linestyle="--", linewidth=1.2, label=f"cut at {cut:g} cm")
        most = max(max(row[key]) for row in result["species"])
        ax.set(xscale="log", yscale="log", ylim=(0.7, 10 * max(most, 1)), xlabel="length of the whole track [cm]")
        ax.set(title=title, ylabel="tracks per bin")
        ax.legend(loc="upper right" if key == "counts" else "upper left")
    axes[1].set_xlim(axes[0].get_xlim())
    before, after = (sum(r[key] for r in result["species"]) for key in ("length_cm", "left_length_cm"))
    return figure, (
        f"Length of the tracks of {sample} by species ({words.count(result['events'], 'event')}; particles and "
        f"antiparticles together, "
        f"electrons with positrons), of all tracks and of those of which the cuts leave anything: "
        f"{'; '.join(result['cuts'])}. "
        f"They leave {words.count(after)} of {words.count(before)} cm. Bins are tenths of a decade, the first holds "
        f"all shorter tracks; a track counts with its whole length in the "
        "detector, of which the cuts may keep a part."
    )


#: Figures of one study each, by its name: number and function of the result and of the sample in words.
OF_STUDY: dict[str, tuple[tuple[int, str, Callable[[Result, str], tuple[Figure, str]]], ...]] = {
    "relaxations": (
        (2, "A step, relaxed and exact", lambda result, sample: step(result)),
        (3, "A hit, on clock ticks, relaxed and exact", lambda result, sample: hit(result)),
    ),
    "scaling": (
        (4, "Time against track length", time_against_length),
        (5, "Times of batches", batch_times),
        (6, "Differentiable against not differentiable", differentiable),
        (7, "Estimated and measured memory", memory),
        (8, "Cost against block size", block_size),
    ),
}
