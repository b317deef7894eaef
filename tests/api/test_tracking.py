"""Links of messages, as browsers, mail programs and scanners use them (security.md J)."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.audit.models import AuditEntry
from saas.audit.queries import verify
from saas.content.rules import tokens
from saas.content.types import Purpose
from saas.kernel.clock import SystemClock
from saas.ledger.models import Consent, Contact, Delivery, Entry, Event, Wait
from saas.ledger.types import FLOW_STEP
from saas.permissions.types import Role
from saas.platform.agenda.models import Agenda
from tests.integration.intake.sent import LINKS, document_of, make_campaign, send_to

pytestmark = pytest.mark.integration

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
ONE_CLICK = {"data": {"List-Unsubscribe": "One-Click"}}
ANNA = "anna@example.org"


@pytest.fixture
def vault(app):
    return app.extensions["countersign"].vault


@pytest.fixture
def made(world, engine, vault):
    found = make_campaign(engine, world.a, vault)
    send_to(found, [ANNA, "bea@example.org"])
    return found


@pytest.fixture
def http(app):
    return app.test_client()


def facts(made):
    with made.session() as session:
        rows = session.scalars(
            sa.select(Event).where(Event.tenant_id == made.place.tenant_id).order_by(Event.occurred_at)
        )
        return [(row.kind, row.entry_id, row.facts) for row in rows]


def consents(made):
    with made.session() as session:
        rows = session.execute(sa.select(Consent.contact_id, Consent.status, Consent.source))
        return {row.contact_id: (row.status, row.source) for row in rows}


def quiet(answer):
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("link_no", [0, 1])
def test_a_click_leads_to_the_signed_address_and_is_noted(http, made, link_no):
    answer = http.get(made.click(ANNA, link_no), headers=BROWSER)
    assert answer.status_code == 302
    assert answer.headers["Location"] == LINKS[link_no]
    quiet(answer)
    assert facts(made) == [("clicked", made.entries[ANNA], {"link_no": link_no, "agent": "desktop"})]


def test_addresses_are_given_back_to_the_letter(http, world, engine, vault):
    url = "https://north.example/a%20b/%C3%A4?q=[1]&x={y}|z'%22#top"
    made = make_campaign(engine, world.a, vault, document=document_of(links=[url]))
    send_to(made, [ANNA])
    assert http.get(made.click(ANNA)).headers["Location"] == url


def test_head_and_options_are_no_clicks(http, made):
    assert http.head(made.click(ANNA), headers=BROWSER).headers["Location"] == LINKS[0]
    assert http.options(made.click(ANNA)).status_code == 200
    assert http.post(made.click(ANNA)).status_code == 405
    assert facts(made) == []


def test_machines_are_marked(http, made):
    http.get(made.click(ANNA), headers={"User-Agent": "BarracudaCentral/1.0"})
    assert facts(made)[0][2] == {"link_no": 0, "agent": "machine", "machine": True}


@pytest.mark.parametrize("tail", ["2", "999999999999999999999999", "00000002"])
def test_link_numbers_are_checked(http, made, tail):
    answer = http.get(made.click(ANNA).rpartition("/")[0] + "/" + tail)
    assert answer.status_code == 404 and "Location" not in answer.headers


@pytest.mark.parametrize("url", ["javascript:alert(1)", "mailto:a@b.example", "//evil.example"])
def test_a_signed_address_of_another_scheme_leads_nowhere(http, world, engine, vault, url):
    made = make_campaign(engine, world.a, vault, document=document_of(links=[url]))
    send_to(made, [ANNA])
    answer = http.get(made.click(ANNA))
    assert answer.status_code == 404 and "Location" not in answer.headers


def test_a_changed_document_leads_nowhere_but_lets_people_out(http, made, owner_engine):
    with owner_engine.begin() as owner:
        owner.execute(sa.text(f"SET LOCAL app.tenant_id = '{made.place.tenant_id}'"))
        owner.execute(
            sa.text("UPDATE revision SET document = document || ' '::bytea WHERE campaign_id = :id"),
            {"id": made.campaign_id},
        )
    assert http.get(made.click(ANNA)).status_code == 404
    assert http.post(made.way_out(ANNA), **ONE_CLICK).status_code == 200
    assert consents(made)[made.contacts[ANNA]] == ("withdrawn", "unsubscribe")


def test_tampered_links_touch_no_database(app, made, http, engine):
    good = made.token(ANNA, Purpose.CLICK)
    flipped = good[:20] + ("A" if good[20] != "A" else "B") + good[21:]
    paths = [f"/c/{flipped}/0", f"/u/{flipped}", f"/c/{made.token(ANNA, Purpose.UNSUBSCRIBE)}/0", f"/u/{good}", "/u/x"]
    seen = []
    watch = lambda *args: seen.append(args[2])  # noqa: E731  the same object is taken away again
    sa.event.listen(engine, "before_cursor_execute", watch)
    try:
        answers = [http.get(path) for path in paths]
        posted = http.post(f"/u/{flipped}", **ONE_CLICK)
    finally:
        sa.event.remove(engine, "before_cursor_execute", watch)
    for answer in (*answers, posted):
        assert answer.status_code == 404 and "Location" not in answer.headers
        quiet(answer)
    assert seen == []


def test_a_token_of_one_workspace_is_worth_nothing_in_another(http, world, made, engine, vault):
    """Neither with the other's key, nor by naming the other in a token of one's own."""
    other = make_campaign(engine, world.b, vault)
    send_to(other, [ANNA])
    own_key = tokens.subkey(vault.link_key, tenant_id=world.a.tenant_id, purpose=Purpose.UNSUBSCRIBE)
    forged = other.token(ANNA, Purpose.UNSUBSCRIBE, key=own_key)
    assert http.post(f"/u/{forged}", **ONE_CLICK).status_code == 404
    # A true token of A for an entry that only B has.
    strange = tokens.make(
        own_key, purpose=Purpose.UNSUBSCRIBE, tenant_id=world.a.tenant_id, entry_id=other.entries[ANNA], step_no=1
    )
    assert http.post(f"/u/{strange}", **ONE_CLICK).status_code == 404
    assert consents(other)[other.contacts[ANNA]] == ("given", "api")
    assert http.post(made.way_out(ANNA), **ONE_CLICK).status_code == 200
    assert consents(other)[other.contacts[ANNA]] == ("given", "api")


def test_looking_never_unsubscribes(http, made):
    """A scanner opens all links of fifty messages."""
    send_to(made, [f"person{number}@example.org" for number in range(50)])
    for email in list(made.entries)[2:]:
        page = http.get(made.way_out(email))
        assert page.status_code == 200
        quiet(page)
        http.head(made.way_out(email))
        http.options(made.way_out(email))
        http.get(made.click(email), headers={"User-Agent": "Mimecast"})
    assert set(consents(made).values()) == {("given", "api")}
    assert {kind for kind, _, _ in facts(made)} == {"clicked"}
    assert all(found.get("machine") for _, _, found in facts(made))


def test_the_page_tells_what_and_shows_no_address(http, made):
    page = http.get(made.way_out(ANNA)).text
    assert "Northwind north" in page and "a…a@example.org" in page and "newsletter" in page
    assert ANNA not in page
    assert len(re.findall(r"<button", page)) == 1 and 'method="post"' in page
    assert "csrf" not in page.lower()


@pytest.mark.parametrize(
    "body", [ONE_CLICK, {"data": "List-Unsubscribe=One-Click", "content_type": "text/plain"}, {"data": b""}]
)
def test_one_click_unsubscribes_once(http, made, body):
    for _ in range(3):
        answer = http.post(made.way_out(ANNA), **body)
        assert answer.status_code == 200
        quiet(answer)
        assert "You are unsubscribed" in answer.text
    assert consents(made)[made.contacts[ANNA]] == ("withdrawn", "unsubscribe")
    assert consents(made)[made.contacts["bea@example.org"]] == ("given", "api")
    assert facts(made) == [("unsubscribed", made.entries[ANNA], {"topic": "newsletter"})]
    assert "You are unsubscribed" in http.get(made.way_out(ANNA)).text
    with made.session() as session:
        entries = session.scalars(sa.select(AuditEntry).where(AuditEntry.action == "contact.unsubscribed")).all()
        assert [(entry.actor_kind, entry.facts) for entry in entries] == [
            ("system", {"campaign": made.cam, "topic": "newsletter"})
        ]
        assert verify(session) is None


def test_who_comes_back_can_leave_again(http, made):
    http.post(made.way_out(ANNA), **ONE_CLICK)
    with made.session() as session:
        session.execute(
            sa.update(Consent)
            .where(Consent.contact_id == made.contacts[ANNA])
            .values(status="given", source="api", at=SystemClock().now())
        )
        session.commit()
    assert "<button" in http.get(made.way_out(ANNA)).text
    http.post(made.way_out(ANNA), **ONE_CLICK)
    assert consents(made)[made.contacts[ANNA]] == ("withdrawn", "unsubscribe")
    assert len(facts(made)) == 2


def test_a_persons_own_word_replaces_an_imported_one(http, made):
    with made.session() as session:
        session.execute(sa.update(Consent).values(status="withdrawn", source="import"))
        session.commit()
    for _ in range(2):
        http.post(made.way_out(ANNA), **ONE_CLICK)
    assert consents(made)[made.contacts[ANNA]] == ("withdrawn", "unsubscribe")
    assert len(facts(made)) == 1


def test_each_message_by_which_somebody_leaves_is_known_once(http, world, made, engine, vault):
    """Two campaigns to the same person: the report of each tells that this message made them leave."""
    second = make_campaign(engine, world.a, vault)
    send_to(second, ["third@example.org"])
    with second.session() as session:
        entry = session.scalars(sa.select(Entry).where(Entry.entry_id == second.entries["third@example.org"])).one()
        delivery = session.get_one(Delivery, (world.a.tenant_id, entry.entry_id, 1))
        entry.contact_id = delivery.contact_id = made.contacts[ANNA]
        session.commit()
    for url in (made.way_out(ANNA), second.way_out("third@example.org"), second.way_out("third@example.org")):
        http.post(url, **ONE_CLICK)
    assert [entry_id for _, entry_id, _ in facts(made)] == [made.entries[ANNA], second.entries["third@example.org"]]


@pytest.mark.parametrize("state", ["completed", "stopped", "archived"])
def test_links_outlive_their_campaign(http, world, engine, vault, state):
    made = make_campaign(engine, world.a, vault, state=state)
    send_to(made, [ANNA])
    assert http.get(made.click(ANNA)).status_code == 302
    assert http.post(made.way_out(ANNA), **ONE_CLICK).status_code == 200
    assert consents(made)[made.contacts[ANNA]][0] == "withdrawn"


def test_erased_people_are_left_in_peace(http, made):
    with made.session() as session:
        session.execute(sa.delete(Consent).where(Consent.contact_id == made.contacts[ANNA]))
        session.execute(
            sa.update(Contact)
            .where(Contact.contact_id == made.contacts[ANNA])
            .values(email=None, email_key=None, erased_at=SystemClock().now())
        )
        session.commit()
    assert http.get(made.way_out(ANNA)).status_code == 200
    assert http.post(made.way_out(ANNA), **ONE_CLICK).status_code == 200
    assert http.get(made.click(ANNA), headers=BROWSER).status_code == 302
    assert facts(made) == []
    assert made.contacts[ANNA] not in consents(made)


def test_transactional_messages_have_nothing_to_leave(http, world, engine, vault):
    made = make_campaign(engine, world.a, vault, document=document_of(purpose="transactional", topic=None))
    send_to(made, [ANNA])
    assert "nothing to unsubscribe" in http.get(made.way_out(ANNA)).text
    assert http.post(made.way_out(ANNA), **ONE_CLICK).status_code == 200
    assert consents(made)[made.contacts[ANNA]] == ("given", "api")
    assert facts(made) == []


def test_people_of_the_product_need_no_csrf_token_and_get_no_other_workspace(world, made):
    """A marketer who is signed in elsewhere reads their own newsletter in the same browser."""
    client = world.client(world.b, Role.MANAGER)
    assert client.http.get(made.click(ANNA), headers=BROWSER).status_code == 302
    assert client.http.post(made.way_out(ANNA), **ONE_CLICK).status_code == 200
    assert consents(made)[made.contacts[ANNA]][0] == "withdrawn"


@pytest.mark.parametrize("path", ["/u/preview", "/c/preview/0", "/c/preview/17"])
def test_links_of_a_preview_say_so(http, path):
    answer = http.get(path)
    assert answer.status_code == 200 and "This is a preview" in answer.text
    quiet(answer)
    if path.startswith("/u/"):
        assert http.post(path, **ONE_CLICK).status_code == 200


def test_a_message_is_not_hammered(http, made):
    """The limit is per message: gateways ask for thousands of messages from one address."""
    answers = [http.head(made.click(ANNA)).status_code for _ in range(125)]
    assert answers.count(302) >= 100 and answers[-1] == 429
    assert http.head(made.click("bea@example.org")).status_code == 302


def test_an_open_is_noted_once_a_minute_and_tells_nobody_anything(http, made):
    answer = http.get(made.image(ANNA), headers=BROWSER)
    assert (answer.status_code, answer.mimetype, answer.data[:6]) == (200, "image/gif", b"GIF89a")
    quiet(answer)
    first = facts(made)
    assert first[0] == ("opened", made.entries[ANNA], {"agent": "desktop"})
    for _ in range(3):  # a minute may end meanwhile
        http.get(made.image(ANNA), headers=BROWSER)
    assert 1 <= len(facts(made)) <= 2
    with made.session() as session:
        assert {row.occurred_at.second for row in session.scalars(sa.select(Event))} == {0}
    before = facts(made)
    good = made.token(ANNA, Purpose.CLICK)
    bad = [
        good[:20] + ("A" if good[20] != "A" else "B") + good[21:], made.token(ANNA, Purpose.UNSUBSCRIBE), "preview", "x",
    ]  # fmt: skip
    for token in bad:
        other = http.get(f"/o/{token}.gif", headers=BROWSER)
        assert (other.status_code, other.data) == (200, answer.data)
        assert {k: v for k, v in other.headers.items() if not k.startswith(("RateLimit", "X-Request"))} == {
            k: v for k, v in answer.headers.items() if not k.startswith(("RateLimit", "X-Request"))
        }
    assert http.head(made.image("bea@example.org")).status_code == 200
    assert http.post(made.image(ANNA)).status_code == 405
    assert facts(made) == before


def test_proxies_of_mail_services_are_marked(http, made):
    http.get(made.image(ANNA), headers={"User-Agent": "Mozilla/5.0"})
    http.get(made.image("bea@example.org"), headers={"User-Agent": "x (via ggpht.com GoogleImageProxy)"})
    assert [row[2] for row in facts(made)] == [{"agent": "machine", "machine": True}] * 2


def test_an_erased_person_leaves_no_opens(http, made):
    with made.session() as session:
        session.execute(sa.update(Contact).where(Contact.email == ANNA).values(erased_at=SystemClock().now()))
        session.commit()
    assert http.get(made.image(ANNA), headers=BROWSER).status_code == 200
    assert facts(made) == []


@pytest.mark.parametrize(("way", "on"), [("image", "opened"), ("click", "clicked")])
def test_who_waits_for_an_open_or_a_click_is_woken(http, made, way, on):
    entry, campaign = made.entries[ANNA], made.campaign_id
    with made.session() as session:
        for step_no, about in ((2, on), (3, "event")):
            session.add(
                Wait(
                    tenant_id=made.place.tenant_id, entry_id=entry, step_no=step_no, campaign_id=campaign,
                    contact_id=made.contacts[ANNA], due_at=SystemClock().now() + timedelta(days=1),
                    listens={"on": about, "entry": entry, "step": 1},
                )
            )  # fmt: skip
        session.commit()
    http.get(getattr(made, way)("bea@example.org"), headers=BROWSER)
    http.get(getattr(made, way)(ANNA), headers=BROWSER)
    with made.session() as session:
        rows = session.scalars(sa.select(Wait).order_by(Wait.step_no)).all()
        assert [row.answer for row in rows] == ["yes", None]
        armed = session.scalars(sa.select(Agenda.subject).where(Agenda.kind == FLOW_STEP.name)).all()
        assert armed == [f"{campaign}:2"]
