"""All routes of the product."""

from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint as PageBlueprint
from flask import Flask
from flask_smorest import Blueprint

from saas.accounts import routes as accounts
from saas.audiences import routes as audiences
from saas.campaigns import routes as campaigns
from saas.channels import routes as channels
from saas.intake import routes as intake
from saas.journeys import routes as trigger
from saas.reports import routes as reports
from saas.tenants import routes as tenants
from saas.web import assets, errors
from saas.web import shell as pages
from saas.web.account import routes as account_pages
from saas.web.audiences import routes as audience_pages
from saas.web.campaigns import draft as draft_pages
from saas.web.campaigns import review as review_pages
from saas.web.campaigns import routes as campaign_pages
from saas.web.home import routes as home_pages
from saas.web.settings import routes as settings_pages

API: Final[tuple[Blueprint, ...]] = (
    accounts.blp,
    tenants.blp,
    channels.blp,
    audiences.blp,
    campaigns.blp,
    trigger.blp,
    reports.blp,
)

PAGES: Final[tuple[PageBlueprint, ...]] = (
    account_pages.blp,
    home_pages.blp,
    campaign_pages.blp,
    draft_pages.blp,
    review_pages.blp,
    audience_pages.blp,
    settings_pages.blp,
)

error_page: Callable[[Exception], Any] | None = errors.error_page


def register_pages(app: Flask) -> None:
    """Register the pages and the public endpoints outside the API."""
    assets.register(app)
    pages.register(app)
    app.register_blueprint(intake.pages)
    for blueprint in PAGES:
        app.register_blueprint(blueprint)
