"""All routes of the product."""

from collections.abc import Callable
from typing import Any, Final

from flask import Flask
from flask_smorest import Blueprint

from saas.accounts import routes as accounts
from saas.audiences import routes as audiences
from saas.campaigns import routes as campaigns
from saas.channels import routes as channels
from saas.journeys import routes as trigger
from saas.tenants import routes as tenants

API: Final[tuple[Blueprint, ...]] = (
    accounts.blp,
    tenants.blp,
    channels.blp,
    audiences.blp,
    campaigns.blp,
    trigger.blp,
)

error_page: Callable[[Exception], Any] | None = None


def register_pages(app: Flask) -> None:
    """Register the pages and the public endpoints outside the API."""
