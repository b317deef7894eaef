"""Notices to one person (issue: Notices; A10): under the bell, by mail at once or together, and never to who has left."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from saas.accounts.models import Account
from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.notices import queries
from saas.notices.models import Notice
from saas.notices.rules import next_digest
from saas.notices.service import mailing
from saas.notices.service.inform import inform
from saas.notices.types import DEFAULT_WISHES, MailMode, NoticeKind
from saas.permissions.types import CAMPAIGN_ROLES, Role
from saas.tenants.service import members
from tests.api.post_office import opened
from tests.worlds import Client, bound

pytestmark = pytest.mark.integration
NOW = SystemClock().now()


@pytest.fixture
def post_office(engine, app_settings, empty_agenda):
    with opened(engine, app_settings) as office:
        yield office


@pytest.fixture
def tell(world):
    """Tell people of a place something."""

    def told(place, *roles, kind=NoticeKind.MENTIONED, title="Bea mentions you", text="In “Autumn”.", now=None):
        with bound(world.engine, place) as session:
            inform(
                session, kind=kind, to=[place.accounts[role] for role in roles], subject=show("cam", uuid7()),
                title=title, text=text, path=f"/w/{place.wsp}/campaigns", now=now or SystemClock().now(),
            )  # fmt: skip
            session.commit()

    return told


def listed(client, query=""):
    answer = client.get(f"/notices{query}")
    assert answer.status_code == 200, answer.text
    return answer.get_json()["data"]


def wish(client, kind=NoticeKind.MENTIONED, *, in_app=True, mail=MailMode.AT_ONCE, **more):
    body = {"kinds": [{"kind": kind.value, "in_app": in_app, "mail": mail.value}], **more}
    answer = client.patch("/account/notices", body)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def leave(world, role):
    with bound(world.engine, world.a) as session:
        members.remove_member(
            session, actor=world.a.actor(Role.ADMIN), account_id=world.a.accounts[role], project_id=None, now=NOW
        )
        session.commit()


@pytest.mark.parametrize("role", CAMPAIGN_ROLES)
def test_only_the_person_told_reads_it(world, tell, role):
    tell(world.a, role)
    [found] = listed(world.client(world.a, role))
    assert (found["kind"], found["title"], found["read_at"]) == ("mentioned", "Bea mentions you", None)
    others = [other for other in (*CAMPAIGN_ROLES, Role.AGENCY_OWNER) if other is not role]
    assert [listed(world.client(world.a, other)) for other in others] == [[]] * len(others)
    stolen = world.client(world.a, others[0]).post(f"/notices/{found['notice_id']}/read")
    assert stolen.status_code == 404
    assert listed(world.client(world.b, role)) == []


def test_a_key_has_no_notices_not_even_its_makers(world, tell):
    tell(world.a, Role.ADMIN)
    assert listed(world.key(world.a)) == []
    assert world.key(world.a).post("/notices/read").get_json() == {"marked": 0}
    assert len(listed(world.client(world.a, Role.ADMIN), "?unread=true")) == 1


def test_reading_one_and_all_up_to_what_was_seen(world, tell):
    client = world.client(world.a, Role.MANAGER)
    for number in range(3):
        tell(world.a, Role.MANAGER, title=f"No {number}")
    newest, middle, oldest = listed(client)
    assert [row["title"] for row in (newest, middle, oldest)] == ["No 2", "No 1", "No 0"]
    read = client.post(f"/notices/{oldest['notice_id']}/read").get_json()
    assert read["read_at"] is not None
    assert client.post(f"/notices/{oldest['notice_id']}/read").get_json() == read
    assert client.post("/notices/read", {"up_to": middle["notice_id"]}).get_json() == {"marked": 1}
    assert [row["title"] for row in listed(client, "?unread=true")] == ["No 2"]
    assert client.post("/notices/read").get_json() == {"marked": 1}
    assert listed(client, "?unread=true") == []
    assert len(listed(client, "?unread=false")) == 3


def test_lists_have_pages(world, tell):
    client = world.client(world.a, Role.MANAGER)
    for number in range(5):
        tell(world.a, Role.MANAGER, title=f"No {number}")
    first = client.get("/notices?limit=2").get_json()
    second = client.get(f"/notices?limit=2&after={first['next_cursor']}").get_json()
    assert [row["title"] for row in first["data"] + second["data"]] == ["No 4", "No 3", "No 2", "No 1"]


def test_a_mail_at_once_says_it_and_leads_there_once(world, tell, post_office):
    tell(world.a, Role.MANAGER)
    assert post_office.deliver() == 1
    [(rcpt, raw)] = post_office.taken
    assert rcpt == [world.a.emails[Role.MANAGER]]
    text = post_office.text(raw)
    assert "Bea mentions you" in text and "Northwind north" in text
    assert f"{post_office.settings.public_url}/w/{world.a.wsp}/campaigns" in text
    assert post_office.deliver(later=timedelta(days=2)) == 0


def test_the_same_mail_again_has_the_same_message_id(world, engine, tell, post_office):
    """The commit after the mail may fail: the second mail is recognisably the first one."""
    tell(world.a, Role.MANAGER)
    with bound(engine, world.a) as session:
        notice_id = session.scalars(sa.select(Notice.notice_id)).one()
        mailing.mail_one(session, notice_id=notice_id, settings=post_office.settings, now=NOW)
        session.rollback()
    post_office.deliver()
    found = [[line for line in raw.split(b"\r\n") if line.startswith(b"Message-ID")] for _, raw in post_office.taken]
    assert len(found) == 2 and found[0] == found[1]
    with bound(engine, world.a) as session:
        mailing.mail_one(session, notice_id=notice_id, settings=post_office.settings, now=NOW)
        session.commit()
    assert len(post_office.taken) == 2


def test_a_refused_mail_is_tried_again_and_keeps_no_other_waiting(world, tell, post_office):
    post_office.refused = {world.a.emails[Role.MANAGER]}
    tell(world.a, Role.MANAGER, Role.APPROVER)
    assert post_office.deliver() == 2
    assert [rcpt for rcpt, _ in post_office.taken] == [[world.a.emails[Role.APPROVER]]]
    post_office.refused = set()
    assert post_office.deliver(later=timedelta(minutes=1)) == 1
    assert post_office.taken[-1][0] == [world.a.emails[Role.MANAGER]]


def test_trying_ends_after_three_days(world, tell, post_office):
    post_office.refuses = True
    tell(world.a, Role.MANAGER)
    post_office.deliver()
    post_office.deliver(later=timedelta(days=4))
    post_office.refuses = False
    assert post_office.deliver(later=timedelta(days=5)) == 0
    assert post_office.taken == []


def test_what_was_read_meanwhile_is_not_mailed(world, tell, post_office):
    tell(world.a, Role.MANAGER)
    world.client(world.a, Role.MANAGER).post("/notices/read")
    post_office.deliver()
    assert post_office.taken == []


def test_wishes_are_kept_and_shape_what_comes(world, tell, post_office):
    client = world.client(world.a, Role.MANAGER)
    shown = client.get("/account/notices").get_json()
    assert {line["kind"]: line["mail"] for line in shown["kinds"]} == {
        kind.value: wished.mail.value for kind, wished in DEFAULT_WISHES.items()
    }
    assert shown["digest_hour"] == 8
    wish(client, mail=MailMode.OFF)
    tell(world.a, Role.MANAGER)
    assert (post_office.deliver(), len(listed(client))) == (0, 1)
    wish(client, in_app=False, mail=MailMode.AT_ONCE)
    tell(world.a, Role.MANAGER)
    assert (post_office.deliver(), len(listed(client))) == (1, 1)
    wish(client, in_app=False, mail=MailMode.OFF)
    tell(world.a, Role.MANAGER)
    assert (post_office.deliver(), len(listed(client))) == (0, 1)


def test_mail_that_is_no_longer_wanted_is_not_sent(world, tell, post_office):
    tell(world.a, Role.MANAGER)
    wish(world.client(world.a, Role.MANAGER), mail=MailMode.OFF)
    post_office.deliver()
    assert post_office.taken == []


def test_the_digest_comes_at_the_persons_hour_and_holds_what_is_unread(world, engine, tell, post_office):
    client = world.client(world.a, Role.MANAGER)
    wish(client, mail=MailMode.DAILY, digest_hour=17)
    now = SystemClock().now()
    for number in range(3):
        tell(world.a, Role.MANAGER, title=f"Number {number}", now=now)
    client.post(f"/notices/{listed(client)[0]['notice_id']}/read")
    due = next_digest(now, hour=17, zone="Europe/Oslo")
    with engine.connect() as connection:
        [found] = connection.exec_driver_sql("SELECT due_at FROM agenda WHERE kind = 'notice.digest'").all()
    assert found.due_at == due
    assert post_office.deliver() == 0
    assert post_office.deliver(later=due - now + timedelta(seconds=1)) == 1
    [(rcpt, raw)] = post_office.taken
    text = post_office.text(raw)
    assert rcpt == [world.a.emails[Role.MANAGER]]
    assert "Number 0" in text and "Number 1" in text and "Number 2" not in text
    assert f"/w/{world.a.wsp}/notices" in text
    tell(world.a, Role.MANAGER, title="Number 3")
    assert post_office.deliver(later=timedelta(days=2)) == 1
    assert "Number 3" in post_office.text(post_office.taken[1][1])
    assert "Number 0" not in post_office.text(post_office.taken[1][1])


def test_a_persons_own_zone_wins_over_the_workspaces(world, engine, tell, empty_agenda):
    with engine.begin() as connection:
        connection.execute(
            sa.update(Account)
            .where(Account.account_id == world.a.accounts[Role.MANAGER])
            .values(time_zone="Asia/Kathmandu")
        )
    now = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
    tell(world.a, Role.MANAGER, kind=NoticeKind.COMMENTED, now=now)
    with engine.connect() as connection:
        [found] = connection.exec_driver_sql("SELECT due_at FROM agenda WHERE kind = 'notice.digest'").all()
    assert found.due_at == datetime(2026, 11, 22, 2, 15, tzinfo=UTC)


def test_who_has_left_gets_nothing_more(world, tell, post_office):
    """Neither what is told afterwards, nor the mails that were on their way, nor the digest."""
    client = world.client(world.a, Role.MANAGER)
    tell(world.a, Role.MANAGER)
    tell(world.a, Role.MANAGER, kind=NoticeKind.COMMENTED)
    leave(world, Role.MANAGER)
    post_office.deliver(later=timedelta(days=2))
    tell(world.a, Role.MANAGER)
    assert post_office.deliver(later=timedelta(days=2)) == 0
    assert post_office.taken == []
    assert client.get("/notices").status_code == 404
    with bound(world.engine, world.a) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Notice)) == 2


def test_a_stranger_or_a_suspended_person_is_told_nothing(world, engine, tell, post_office):
    with engine.begin() as connection:
        connection.execute(
            sa.update(Account).where(Account.account_id == world.a.accounts[Role.VIEWER]).values(suspended_at=NOW)
        )
    stranger = replace(world.a, accounts={Role.ADMIN: world.b.accounts[Role.ADMIN]})
    tell(stranger, Role.ADMIN)
    tell(world.a, Role.VIEWER)
    assert post_office.deliver() == 0
    with bound(engine, world.a) as session:
        assert session.scalars(sa.select(Notice)).all() == []


def test_the_agencys_owner_may_be_told(world, tell, post_office):
    with bound(world.engine, world.a) as session:
        owner = session.scalar(sa.select(Account.account_id).where(Account.email == world.owner_email))
    tell(replace(world.a, accounts={Role.ADMIN: owner}), Role.ADMIN)
    post_office.deliver()
    assert [rcpt for rcpt, _ in post_office.taken] == [[world.owner_email]]


def test_the_bell_counts_to_a_hundred(world, tell):
    for _ in range(3):
        tell(world.a, Role.MANAGER)
    with bound(world.engine, world.a) as session:
        assert queries.unread_count(session, actor=world.a.actor(Role.MANAGER)) == 3
        assert queries.unread_count(session, actor=world.a.actor(Role.ADMIN)) == 0


@pytest.mark.parametrize("wrong", [{"digest_hour": 24}, {"kinds": [{"kind": "gossip", "in_app": True, "mail": "off"}]}])
def test_a_wish_that_cannot_be_is_refused(world, wrong):
    assert world.client(world.a, Role.VIEWER).patch("/account/notices", wrong).status_code == 422


def test_nobody_has_no_wishes(world):
    assert Client(world.app).get("/account/notices").status_code == 401
