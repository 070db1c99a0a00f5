"""`gradcal check`: what files hold, and everything that is wrong or suspicious with them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..detector.geometry import DetectorGeometry
    from ..inspect.findings import Summary
    from ..inspect.look import Look

HELP = "say what files hold (segments, hits, fits, configurations) and what is wrong with them"

PICTURES = (".png", ".svg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `gradcal check`."""
    from .common import add_config_arguments

    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help="file of segments, hits, a fit or settings")
    add_config_arguments(parser, required=False)
    parser.add_argument(
        "--detector", metavar="NAME_OR_PATH", help="detector to hold the files against, instead of detector.file"
    )
    parser.add_argument(
        "--view",
        metavar="ascii|none|OUT.png|OUT.svg",
        action="append",
        help="views from above and from the side: in characters (default), none, or a picture (may be repeated)",
    )


def main(args: argparse.Namespace) -> None:
    """Look at each file, print what was found and draw; exit status 2 if a command would refuse any of them."""
    from ..inspect.findings import verdict
    from ..inspect.look import look
    from ..storage.detector import load_geometry
    from .common import config_files, config_of

    config = config_of(args)
    geometry = load_geometry(args.detector or config.detector.file)
    views = args.view or ["ascii"]
    pictures = _pictures(views, args.files, config_files(args, config))
    usable = True
    for number, path in enumerate(args.files):
        found = look(path, config, geometry)
        if number:
            print()
        print(text(path, found.summary))
        draw(found, path, geometry, "ascii" in views, pictures)
        print(f"{path}: {verdict(found.summary.findings)}")
        usable &= found.summary.usable
    if not usable:
        raise SystemExit(2)


def text(path: Path, summary: Summary) -> str:
    """What a file holds and the findings, as lines."""
    import textwrap

    lines = [f"{path}: {summary.kind}"]
    label = max((len(name) for name, _ in summary.facts), default=0) + 2
    for name, fact in summary.facts:
        lines += textwrap.wrap(
            _plain(fact), 110, initial_indent=f"  {name:<{label}}", subsequent_indent=" " * (label + 2)
        )
    for finding in summary.findings:
        lines += textwrap.wrap(
            _plain(finding.text), 110, initial_indent=f"  {finding.severity + ':':<9}", subsequent_indent=" " * 11
        )
    return "\n".join(lines)


def draw(found: Look, path: Path, geometry: DetectorGeometry, characters: bool, pictures: list[Path]) -> None:
    """Print and write the views of segments or hits."""
    from ..report.views import ascii_views, cloud_of_hits, cloud_of_segments, picture
    from ..storage.atomic import atomic_output
    from ..tables import Hits

    if found.table is None or not len(found.table):
        return
    cloud = cloud_of_hits(found.table) if isinstance(found.table, Hits) else cloud_of_segments(found.table)
    if characters:
        print(ascii_views(cloud, geometry))
    for out in pictures:
        with atomic_output(out) as temporary:
            temporary.write_bytes(picture(cloud, geometry, path.name, out.suffix[1:]))
        print(f"  picture: {out}")


def _pictures(views: list[str], files: list[Path], others: list[Path]) -> list[Path]:
    """The pictures asked for; raises `ConfigError` for views that are none."""
    from ..errors import ConfigError
    from ..storage.atomic import check_output

    pictures = [Path(view) for view in views if view not in ("ascii", "none")]
    for picture in pictures:
        if picture.suffix not in PICTURES:
            raise ConfigError(f"--view: {str(picture)!r} is not ascii, none, or a name that ends in .png or .svg.")
        check_output(picture, *files, *others)
    if pictures and len(files) > 1:
        raise ConfigError(f"--view: {pictures[0]} can show one file only; check the {len(files)} files one by one.")
    return pictures


def _plain(sentence: str) -> str:
    """Text of a file made harmless for a terminal."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(sentence.split()))
