"""The running application's renderer: one jailed child a process, started at its first use."""

from typing import cast

from flask import current_app

from saas.content.jail.renderer import Renderer

KEY = "countersign.renderer"


def renderer() -> Renderer:
    """Return the application's renderer."""
    return cast("Renderer", current_app.extensions[KEY])
