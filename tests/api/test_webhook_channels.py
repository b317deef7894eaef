"""Webhooks by API: what may be configured, who sees the secret, rotation, ping (security.md H, K, L)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.app.factory import create_app
from saas.channels import queries
from saas.channels.models import ChannelConfiguration
from saas.channels.rules import fingerprint_of
from saas.channels.service import adapters, hooks
from saas.kernel.clock import SystemClock
from saas.kernel.errors import Invalid, NotFound
from saas.kernel.ids import parse
from saas.permissions.types import Role
from saas.platform.db import db
from tests.conftest import make_settings
from tests.hook_sink import HookSink, Reply, hang_up
from tests.worlds import bound, make_world

pytestmark = pytest.mark.integration

BODY = {"name": "Orders", "purpose": "transactional", "url": "https://Hooks.Northwind.example/in?a=1"}


@pytest.fixture
def admin(world):
    return world.client(world.a, Role.ADMIN)


def made(client, **changes):
    answer = client.post("/webhook-channels", {**BODY, **changes})
    assert answer.status_code == 201, answer.text
    return answer


def pointers(answer):
    assert answer.status_code == 422, answer.text
    return {fault["pointer"] for fault in answer.get_json()["errors"]}


def test_make_read_change_archive(world, admin):
    found = made(admin, rate_per_minute=600).get_json()
    secret = found.pop("secret")
    assert secret.startswith("whsec_") and len(secret) == 50
    url = f"/channels/{found['channel_id']}"
    assert admin.get(url).get_json() == found
    assert (found["kind"], found["url"]) == ("webhook", "https://hooks.northwind.example/in?a=1")
    assert (found["from_address"], found["host"], found["security"], found["dkim"]) == (None, None, None, None)
    assert found["fingerprint"] == {"kind": "webhook", "purpose": "transactional", "url": found["url"]}
    listed = admin.get("/channels?kind=webhook").get_json()["data"]
    assert [row["channel_id"] for row in listed] == [found["channel_id"]]
    assert admin.get("/channels?kind=smtp").get_json()["data"] == []
    hook = f"/webhook-channels/{found['channel_id']}"
    assert admin.patch(hook, {"name": "x"}).status_code == 428
    renamed = admin.patch(hook, {"name": "Orders 2", "rate_per_minute": None}, etag='"1"').get_json()
    assert (renamed["version"], renamed["rate_per_minute"], renamed["fingerprint"]) == (2, None, found["fingerprint"])
    moved = admin.patch(hook, {"url": "https://hooks.northwind.example/other"}, etag='"2"').get_json()
    assert moved["fingerprint"]["url"] == "https://hooks.northwind.example/other"
    assert admin.patch(hook, {"name": "x"}, etag='"2"').status_code == 412
    assert pointers(admin.patch(hook, {"purpose": "marketing"}, etag='"3"')) == {"/purpose"}
    assert admin.delete(url, etag='"3"').status_code == 204
    assert admin.get(url).status_code == 404
    with bound(world.engine, world.a) as session:
        row = queries.find(session, parse("chn", found["channel_id"]))
        assert row.hook_secret_sealed is None and row.archived_at is not None


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"url": "http://hooks.northwind.example/in"}, "/url"),
        ({"url": "https://10.0.0.1/in"}, "/url"),
        ({"url": "https://user:pass@hooks.northwind.example/in"}, "/url"),
        ({"url": "https://hooks.northwind.example:22/in"}, "/url"),
        ({"url": "https://hooks.northwind.example/" + "x" * 2000}, "/url"),
        ({"name": " "}, "/name"),
        ({"rate_per_minute": 0}, "/rate_per_minute"),
        ({"purpose": "fun"}, "/purpose"),
        ({"secret": "whsec_mine"}, "/secret"),
        ({"host": "smtp.example.com"}, "/host"),
    ],
)
def test_what_cannot_be_used_is_refused(admin, changes, pointer):
    assert pointers(admin.post("/webhook-channels", {**BODY, **changes})) == {pointer}


def test_roles_strangers_and_kinds(world, admin):
    found = made(admin).get_json()
    hook = f"/webhook-channels/{found['channel_id']}"
    stranger = world.client(world.b, Role.ADMIN)
    for client, status in ((world.nobody(world.a), 401), (stranger, 404), (world.client(world.a, Role.MANAGER), 403)):
        assert client.patch(hook, {"name": "x"}, etag='"1"').status_code == status
        assert client.post(f"{hook}/secret").status_code == status
    assert stranger.post(f"{hook}/ping").status_code == 404
    assert world.client(world.a, Role.VIEWER).post(f"{hook}/ping").status_code == 403
    mail = {"name": "Mail", "purpose": "marketing", "from_name": "N", "from_address": "n@northwind.example",
            "host": "smtp.example.com", "port": 587, "security": "starttls"}  # fmt: skip
    other = admin.post("/channels", mail).get_json()["channel_id"]
    # Each kind has its own addresses; what is of another kind is not there.
    assert admin.patch(f"/webhook-channels/{other}", {"name": "x"}, etag='"1"').status_code == 404
    assert admin.post(f"/webhook-channels/{other}/ping").status_code == 404
    assert admin.post(f"/webhook-channels/{other}/secret").status_code == 404
    assert admin.patch(f"/channels/{found['channel_id']}", {"name": "x"}, etag='"1"').status_code == 404
    own = {"to": world.a.emails[Role.ADMIN]}
    assert admin.post(f"/channels/{found['channel_id']}/test", own).status_code == 404
    dkim = {"domain": "northwind.example", "selector": "s1"}
    assert admin.post(f"/channels/{found['channel_id']}/dkim", dkim).status_code == 404
    assert admin.post("/webhook-channels", {**BODY, "name": "Mail"}).status_code == 409


def test_the_secret_is_shown_once_and_stands_nowhere(world, admin):
    answer = admin.post("/webhook-channels", BODY, headers={"Idempotency-Key": "k"})
    found = answer.get_json()
    assert admin.post("/webhook-channels", BODY, headers={"Idempotency-Key": "k"}).status_code == 409
    with bound(world.engine, world.a) as session:
        tables = session.scalars(sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        for table in tables:
            try:
                with session.begin_nested():
                    rows = session.scalars(sa.text(f'SELECT t::text FROM "{table}" t')).all()
            except sa.exc.DBAPIError:
                continue  # not readable for the application
            assert not any(found["secret"] in row or found["secret"][6:] in row for row in rows), table


def test_two_secrets_live_while_rotating(world, admin):
    found = made(admin).get_json()
    hook = f"/webhook-channels/{found['channel_id']}/secret"
    assert pointers(admin.post(hook, {"overlap_hours": 169})) == {"/overlap_hours"}
    second = admin.post(hook, {"overlap_hours": 1}).get_json()
    assert second["secret"] != found["secret"] and second["version"] == 2
    vault, now = world.app.extensions["countersign"].vault, SystemClock().now()
    with bound(world.engine, world.a) as session:
        row = queries.channel(session, parse("chn", found["channel_id"]))
        present, former = adapters.hook_secrets(session, channel=row, vault=vault)
        assert (present.text, present.until) == (second["secret"], None)
        assert former.text == found["secret"]
        assert now < former.until <= now + timedelta(hours=1)
    third = admin.post(hook, {"overlap_hours": 0}).get_json()
    assert third["hook_former_until"] is None
    with bound(world.engine, world.a) as session:
        row = queries.channel(session, parse("chn", found["channel_id"]))
        assert [each.text for each in adapters.hook_secrets(session, channel=row, vault=vault)] == [third["secret"]]


def test_the_fingerprint_is_the_same_in_the_database(world, admin):
    found = made(admin, url='https://hooks.northwind.example/in?a="\\{}%s').get_json()
    with bound(world.engine, world.a) as session:
        row = queries.channel(session, parse("chn", found["channel_id"]))
        live = session.scalar(
            sa.text(
                f"SELECT {queries.FINGERPRINT_SQL} FROM channel_configuration ch"
                " WHERE ch.tenant_id = :tenant AND ch.channel_id = :id"
            ),
            {"tenant": world.a.tenant_id, "id": row.channel_id},
        )
        assert live == fingerprint_of(row)


def test_a_row_is_of_one_kind_only(world, admin):
    found = made(admin).get_json()
    for change in ("host = 'smtp.example.com'", "url = NULL", "kind = 'smtp'", "password_sealed = 'x'::bytea"):
        with bound(world.engine, world.a) as session, pytest.raises(sa.exc.IntegrityError):
            session.execute(
                sa.text(f"UPDATE channel_configuration SET {change} WHERE channel_id = :id"),
                {"id": parse("chn", found["channel_id"])},
            )


@pytest.fixture
def local(servers, database, redis_db):
    """An application that may post to a receiver on loopback."""
    with HookSink() as sink:
        app = create_app(make_settings(servers, database, redis_db=redis_db, EGRESS_ALLOW=sink.address))
        with app.app_context():
            engine = db.engine
        yield sink, make_world(app, engine)
        engine.dispose()


@pytest.mark.parametrize(
    ("reply", "accepted", "text"),
    [
        (Reply(204), True, "The receiver answered 204"),
        (Reply(500, b"secret words"), False, "The receiver answered 500"),
        (Reply(302, headers={"Location": "http://127.0.0.1:1/"}), False, "The receiver answered 302"),
        (Reply(act=hang_up), False, "The receiver did not answer in time"),
    ],
)
def test_a_ping_is_signed_and_its_outcome_noted(local, reply, accepted, text):
    sink, world = local
    sink.answer = reply
    admin = world.client(world.a, Role.ADMIN)
    found = made(admin, url=sink.url).get_json()
    answer = world.client(world.a, Role.MANAGER).post(f"/webhook-channels/{found['channel_id']}/ping")
    assert answer.status_code == 200, answer.text
    assert answer.get_json() == {"accepted": accepted, "text": text}
    (post,) = sink.posts
    assert b'"type": "ping"' in post.body and post.verify(found["secret"], now=SystemClock().now().timestamp())
    shown = admin.get(f"/channels/{found['channel_id']}").get_json()
    assert shown["last_test_at"] and shown["last_test_error"] == (None if accepted else text)


def test_steps_call_through_the_same_door(local):
    """What gates and actions of a flow use: signed, the answer's beginning given back."""
    sink, world = local
    sink.answer = Reply(200, b'{"ok": true}')
    found = made(world.client(world.a, Role.ADMIN), url=sink.url).get_json()
    vault, now = world.app.extensions["countersign"].vault, SystemClock().now()
    with bound(world.engine, world.a) as session:
        row = session.get(ChannelConfiguration, (world.a.tenant_id, parse("chn", found["channel_id"])))
        receiver = hooks.receiver_of(session, channel=row, vault=vault)
        answer = receiver.call(b"{}", message_id="m1", at=now, allow=(sink.address,))
        assert (answer.status, answer.body, answer.is_whole) == (200, b'{"ok": true}', True)
        assert sink.posts[0].headers["webhook-id"] == "m1" and sink.posts[0].verify(found["secret"])
        # The address is checked again at use: what was allowed once may not be any more.
        with pytest.raises(Invalid):
            receiver.call(b"{}", message_id="m1", at=now, allow=())
        assert len(sink.posts) == 1
    with bound(world.engine, world.b) as session, pytest.raises(NotFound):
        hooks.ping(session, actor=world.b.actor(Role.ADMIN), channel_id=parse("chn", found["channel_id"]), vault=vault,
                   allow=(), now=now)  # fmt: skip
