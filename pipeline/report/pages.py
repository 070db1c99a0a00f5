"""The templates of the pages, and the styles and scripts that stand in them."""

from __future__ import annotations

from typing import Any

import jinja2
from markupsafe import Markup


def filled(template: str, **content: Any) -> str:
    """A template with its content; `asset(name)` in it is another file of the templates, as it stands."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    loader = environment.loader
    assert loader is not None

    def asset(name: str) -> Markup:
        return Markup(loader.get_source(environment, name)[0])

    return environment.get_template(template).render(asset=asset, **content)
