"""All routes of the product."""

from collections.abc import Callable
from typing import Any, Final

from flask import Flask
from flask_smorest import Blueprint

from saas.accounts import routes as accounts

API: Final[tuple[Blueprint, ...]] = (accounts.blp,)

error_page: Callable[[Exception], Any] | None = None


def register_pages(app: Flask) -> None:
    """Register the pages and the public endpoints outside the API."""
