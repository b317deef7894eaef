"""A live server on loopback and the machine's own Chromium."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Response, expect
from werkzeug.serving import make_server

from saas.permissions.types import Role
from tests.engine_room import engine_room
from tests.smtp_sink import SmtpSink
from tests.web.chromium import chromium
from tests.worlds import PASSWORD, Place, World, enter

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 375, "height": 812}
# Each width and each scheme in every run; all four of them in the deep tiers.
LOOKS = (
    pytest.param(DESK, "light", id="desk light"),
    pytest.param(PHONE, "dark", id="phone dark"),
    pytest.param(DESK, "dark", id="desk dark", marks=pytest.mark.deep),
    pytest.param(PHONE, "light", id="phone light", marks=pytest.mark.deep),
)

# A page is there within seconds, unless the machine does much else.
PATIENCE_MS = 60_000
# What a click on an element leads to: another page, a part of this one that is fetched, or neither. A form whose fields
# the browser refuses leads nowhere, nor does one that was sent a moment ago.
_LEADS_TO = """
element => {
  const own = element.closest("a[href], button, input[type=submit]");
  if (!own || own.target || own.hasAttribute("download")) return "";
  if (window.htmx && (own.matches("[hx-get], [hx-post]") || own.form?.matches("[hx-get], [hx-post]"))) {
    window.settled = new Promise(done => document.addEventListener("htmx:afterSettle", done, { once: true }));
    return "part";
  }
  if (own.matches("a")) return own.getAttribute("href").startsWith("#") ? "" : "page";
  const form = own.form, isChecked = form && !form.noValidate && !own.formNoValidate;
  if (own.type !== "submit" || !form || "sent" in form.dataset) return "";
  if (window.htmx && "themeForm" in form.dataset) return "";
  return isChecked && form.matches(":invalid") ? "" : "page";
}
"""
_IS_SETTLED = """
patience => Promise.race([
  window.settled.then(() => true),
  new Promise(done => setTimeout(done, patience, false)),
])
"""
_click, _expect_download = Locator.click, Page.expect_download
_saving: set[Page] = set()  # where the next click is to lead to a file


def expect_download(page: Page, *args: Any, **options: Any) -> Any:
    _saving.add(page)
    return _expect_download(page, *args, **options)


def click(what: Locator, **options: Any) -> None:
    """Click, and wait for what that leads to: what is read next is of the page that follows, not of the one before."""
    page, leads_to = what.page, what.evaluate(_LEADS_TO)
    if leads_to != "page" or page in _saving:
        _saving.discard(page)
        _click(what, **options)
    else:
        with page.expect_navigation():
            _click(what, **options)
    if leads_to == "part":
        assert page.evaluate(_IS_SETTLED, PATIENCE_MS), f"nothing came of a click on {what}"


# What is served at an address of `server`.
_SERVED: dict[str, tuple[Flask, sa.Engine]] = {}


@pytest.fixture(scope="session")
def server(app: Flask, engine: sa.Engine) -> Iterator[str]:
    """The address of the test's application, served by real sockets."""
    found = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{found.server_port}"
    _SERVED[address] = app, engine
    yield address
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium. Every click in it waits for what it leads to."""
    with chromium() as found, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Locator, "click", click)
        patch.setattr(Page, "expect_download", expect_download)
        expect.set_options(timeout=PATIENCE_MS)
        yield found


@dataclass
class Visitor:
    """One browser of one person, who complains about what the page's console says."""

    page: Page
    server: str
    faults: list[str]
    script: bool = True

    def open(self, path: str) -> Response:
        found = self.page.goto(f"{self.server}{path}")
        assert found is not None
        return found

    def sign_in(self, email: str) -> "Visitor":
        self.open("/sign-in")
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: "/sign-in" not in url)
        return self

    def enter(self, email: str) -> "Visitor":
        """Be signed in, as `sign_in` does it, without the page for it."""
        environ = {"REMOTE_ADDR": "127.0.0.1", "HTTP_USER_AGENT": self.page.evaluate("navigator.userAgent")}
        app, engine = _SERVED[self.server]
        _, cookie = enter(app, engine, email, environ=environ)
        self.page.context.add_cookies([{"name": "csn", "value": cookie, "url": self.server, "httpOnly": True}])
        return self

    def press(self, name: str) -> None:
        """Press a button of the page's main part."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def said(self) -> str:
        """What the page says about the last request."""
        return self.page.locator(".cs-flash").inner_text()

    def overflows(self) -> bool:
        """Whether the page can be scrolled sideways, which it never should."""
        self.page.wait_for_load_state("load")
        script = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(self.page.evaluate(script))

    def axe(self) -> list[str]:
        """What axe finds, one line for each kind of fault."""
        # As the browser's own tools do it: the page's policy lets no script in that is not ours.
        self.page.evaluate(AXE.read_text())
        # What is wrong only: describing all that is right takes as long as looking.
        how = "{runOnly: {type: 'tag', values: tags}, iframes: false, resultTypes: ['violations']}"
        found: list[dict[str, Any]] = self.page.evaluate(
            f"tags => axe.run(document, {how}).then(all => all.violations)", TAGS
        )
        return [
            f"{fault['id']}: {fault['help']}: " + " | ".join(node["html"][:160] for node in fault["nodes"][:3])
            for fault in found
        ]


# htmx tells the console of a request that was given up: a newer choice replaced it, or the page was left while it
# asked for progress. The element's kind stands behind the event's name once the element is gone.
GIVEN_UP = ("htmx:sendAbort", "htmx:afterRequest")
# The policy of a shown message lets no image in, and every marketing message has the one that tells of opens.
SHOWN_IMAGE = "/o/preview.gif"


@contextmanager
def visit(browser: Browser, server: str, **options: Any) -> Iterator[Visitor]:
    settings = {"viewport": DESK, "locale": "en-GB", "reduced_motion": "reduce", **options}
    context: BrowserContext = browser.new_context(**settings)
    context.set_default_timeout(PATIENCE_MS)
    page, faults = context.new_page(), []
    page.on("pageerror", lambda error: faults.append(f"page error: {error}"))

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(GIVEN_UP) and SHOWN_IMAGE not in message.text:
            faults.append(message.text)

    page.on("console", hear)
    try:
        yield Visitor(page, server, faults, script=settings.get("java_script_enabled", True))
    finally:
        context.close()


@pytest.fixture
def visitor(browser: Browser, server: str) -> Iterator[Visitor]:
    with visit(browser, server) as found:
        yield found


@pytest.fixture(params=["script", "no script"])
def any_visitor(request: pytest.FixtureRequest, browser: Browser, server: str) -> Iterator[Visitor]:
    """Once with script, once without: the main path works in both."""
    with visit(browser, server, java_script_enabled=request.param == "script") as found:
        yield found


@pytest.fixture
def sink() -> Iterator[SmtpSink]:
    with SmtpSink() as found:
        yield found


@pytest.fixture
def room(app, app_settings, sink, empty_agenda):
    """The engine that sends, under a clock that the test sets."""
    with engine_room(app, app_settings, egress=(f"127.0.0.1:{sink.port}",)) as found:
        yield found


def email_of(world: World, place: Place, role: Role) -> str:
    return world.owner_email if role is Role.AGENCY_OWNER else place.emails[role]
