"""One study on its own: its figure, its caption and its table, as files."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from ..errors import ConfigError, FileFormatError
from ..study.registry import STUDIES
from .plots import Drawing, image, style
from .table import Table

Result = Mapping[str, Any]


def drawing(result: Result) -> tuple[Drawing, Table]:
    """The figure and the table of what `gradcal study` wrote.

    Raises `ConfigError` for a study that has no figure of its own, and `FileFormatError` where the result does not
    hold what it should.
    """
    name = str(result["study"])
    if name not in STUDIES or STUDIES[name].figure is None:
        known = ", ".join(study.name for study in STUDIES.values() if study.figure)
        raise ConfigError(f"the study {name} has no figure of its own (these have: {known}); see `gradcal paper`.")
    module = importlib.import_module(str(STUDIES[name].figure))
    draw: Callable[[Result], tuple[Figure, str]] = module.draw
    rows: Callable[[Result], tuple[Sequence[str], Sequence[Sequence[str]]]] = module.rows
    title = STUDIES[name].summary[:1].upper() + STUDIES[name].summary[1:]
    try:
        with style():
            figure, caption = draw(result)
        head, lines = rows(result)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError) as error:
        raise FileFormatError(
            f"the result of the study {name} is not as this version writes it ({type(error).__name__}: {error}); make "
            "it anew."
        ) from error
    caption = " ".join(caption.split())
    return Drawing(name, title, caption, figure), Table(name, title, caption, head, lines)


def files(result: Result, stem: str) -> dict[str, bytes]:
    """The figure as SVG, the table as CSV, and title, caption, figure and table as Markdown, by their suffixes.

    `stem` names the figure in the Markdown. Raises as `drawing` does.
    """
    drawn, table = drawing(result)
    text = f"# {drawn.title}\n\n{drawn.caption}\n\n![{drawn.title}]({stem}.svg)\n\n{table.markdown()}"
    return {".svg": image(drawn.figure, "svg"), ".csv": table.csv().encode(), ".md": text.encode()}
