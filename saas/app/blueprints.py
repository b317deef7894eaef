"""All routes of the product."""

from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint as PageBlueprint
from flask import Flask, request
from flask_smorest import Blueprint
from werkzeug.exceptions import HTTPException

from saas.accounts.routes import accounts
from saas.accounts.routes import own as own_account
from saas.app import metrics
from saas.audiences.routes import audiences
from saas.campaigns.routes import campaigns, categories, comments, links, policies, revisions, templates
from saas.channels import routes as channels
from saas.http import problem
from saas.intake.routes import events, public
from saas.journeys.routes import call_files, gate_links, gates
from saas.notices import routes as notices
from saas.reports.routes import foresight, reports
from saas.sending import routes as sending
from saas.tenants.routes import agencies, people
from saas.tenants.routes import workspaces as tenants
from saas.web import assets, errors
from saas.web import shell as pages
from saas.web.account import area as area_pages
from saas.web.account import links as link_pages
from saas.web.account import routes as account_pages
from saas.web.account import security as security_pages
from saas.web.activity import lines as activity
from saas.web.agency import routes as agency_pages
from saas.web.alerts import routes as alert_pages
from saas.web.audiences import routes as audience_pages
from saas.web.brand import routes as brand_pages
from saas.web.campaigns import call_one as call_one_pages
from saas.web.campaigns import calls as call_pages
from saas.web.campaigns import decide as decide_pages
from saas.web.campaigns import draft as draft_pages
from saas.web.campaigns import gates as gate_pages
from saas.web.campaigns import link as approval_link_pages
from saas.web.campaigns import review as review_pages
from saas.web.campaigns import routes as campaign_pages
from saas.web.campaigns import steps as step_pages
from saas.web.developers import routes as developer_pages
from saas.web.foresight import routes as foresight_pages
from saas.web.foresight import why as why_pages
from saas.web.home import routes as home_pages
from saas.web.notices import routes as notice_pages
from saas.web.settings import routes as settings_pages

API: Final[tuple[Blueprint, ...]] = (
    accounts.blp,
    own_account.blp,
    tenants.blp,
    people.blp,
    agencies.blp,
    channels.blp,
    audiences.blp,
    campaigns.blp,
    categories.blp,
    templates.blp,
    revisions.blp,
    comments.blp,
    policies.blp,
    links.blp,
    call_files.blp,  # with the trigger
    gates.blp,
    gate_links.blp,
    events.blp,
    sending.blp,
    reports.blp,
    reports.log,
    foresight.blp,
    notices.blp,
)

PAGES: Final[tuple[PageBlueprint, ...]] = (
    account_pages.blp,
    area_pages.blp,
    link_pages.blp,
    security_pages.blp,
    home_pages.blp,
    campaign_pages.blp,
    draft_pages.blp,
    step_pages.blp,
    review_pages.blp,
    decide_pages.blp,
    approval_link_pages.blp,
    call_pages.blp,
    call_one_pages.blp,
    gate_pages.blp,
    foresight_pages.blp,
    why_pages.blp,
    audience_pages.blp,
    settings_pages.blp,
    developer_pages.blp,
    developer_pages.docs,
    alert_pages.blp,
    notice_pages.blp,
    agency_pages.blp,
    agency_pages.invited,
    brand_pages.blp,
)

error_page: Callable[[Exception], Any] | None = errors.error_page


def register_pages(app: Flask) -> None:
    """Register the pages and the public endpoints outside the API."""
    assets.register(app)
    pages.register(app)
    activity.register(app)
    metrics.register(app)
    # flask-smorest answers every HTTPException of the application as its API; a page answers with a page.
    app.register_error_handler(HTTPException, _page_or_problem)
    app.register_blueprint(public.pages)
    for blueprint in PAGES:
        app.register_blueprint(blueprint)


def _page_or_problem(error: HTTPException) -> Any:
    return problem.answer(error) if request.path.startswith("/api/") else errors.error_page(error)
