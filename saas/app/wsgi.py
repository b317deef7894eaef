"""What gunicorn serves: `gunicorn "saas.app.wsgi:app()"`."""

import os
from typing import Any, Final, cast

from flask import Flask
from whitenoise import WhiteNoise

from saas.app.environment import load
from saas.app.factory import check_database_role, create_app
from saas.platform import logs
from saas.platform.db import db

_BUILT: Final = "/dist/"


def app() -> Flask:
    """Return the application of this environment. Raises BadSetting, PowerfulRole."""
    settings = load(os.environ)
    logs.configure(settings)
    found = create_app(settings)
    check_database_role(found)
    with found.app_context():
        db.engine.dispose()  # nothing that is open is handed to processes that are forked from here
    vars(found)["wsgi_app"] = _static(found)
    return found


def _static(found: Flask) -> Any:
    """Serve the built files before Flask sees the request; pages address them with the hash of their content."""
    files = WhiteNoise(
        found.wsgi_app,
        immutable_file_test=lambda _, url: _BUILT in url,
        add_headers_function=lambda headers, _path, _url: headers.add_header("X-Content-Type-Options", "nosniff"),
    )
    files.add_files(cast("str", found.static_folder), prefix="static/")
    return files
