"""Channel configurations by API (security.md H, K, L)."""

import socket
from email import message_from_bytes

import pytest
import sqlalchemy as sa

from saas.app.factory import create_app
from saas.channels.service import configurations
from saas.permissions.types import Role
from saas.platform.db import db
from tests.conftest import make_settings
from tests.smtp_sink import At, Do, SmtpSink, Then
from tests.worlds import Client, bound, make_world

pytestmark = pytest.mark.integration

BODY = {
    "name": "Newsletter",
    "purpose": "marketing",
    "from_name": "Northwind Outdoor",
    "from_address": "news@northwind.example",
    "reply_to": "help@northwind.example",
    "host": "smtp.relay.example",
    "port": 587,
    "security": "starttls",
    "username": "northwind",
    "password": "hunter2-canary",
    "rate_per_minute": 600,
}


def made(client, **changes):
    answer = client.post("/channels", {**BODY, **changes})
    assert answer.status_code == 201, answer.text
    return answer


def pointers(answer):
    assert answer.status_code == 422, answer.text
    return {fault["pointer"] for fault in answer.get_json().get("errors", [])}


@pytest.fixture
def admin(world):
    return world.client(world.a, Role.ADMIN)


def test_nobody_and_strangers(world, admin):
    url = f"/channels/{made(admin).get_json()['channel_id']}"
    stranger = world.client(world.b, Role.ADMIN)
    for client, expected in ((world.nobody(world.a), 401), (stranger, 404), (Client(world.app, key="csn_live_x"), 401)):
        assert client.get(url).status_code == expected
        assert client.patch(url, {"name": "x"}, etag='"1"').status_code == expected
        assert client.delete(url, etag='"1"').status_code == expected
        assert client.post(f"{url}/test", {"to": world.a.emails[Role.ADMIN]}).status_code == expected
    assert stranger.get("/channels").get_json()["data"] == []
    assert admin.get(url).get_json()["version"] == 1


@pytest.mark.parametrize("role", [Role.VIEWER, Role.APPROVER, Role.MANAGER])
def test_only_admins_write_and_all_roles_read(world, admin, role):
    url = f"/channels/{made(admin).get_json()['channel_id']}"
    client = world.client(world.a, role)
    assert client.get(url).status_code == client.get("/channels").status_code == 200
    assert client.post("/channels", BODY).status_code == 403
    assert client.patch(url, {"name": "x"}, etag='"1"').status_code == 403
    assert client.delete(url, etag='"1"').status_code == 403
    may_test = role is Role.MANAGER
    assert (client.post(f"{url}/test", {"to": "x@example.net"}).status_code == 403) is not may_test


def test_a_key_reads_and_does_not_write(world, admin):
    url = f"/channels/{made(admin).get_json()['channel_id']}"
    assert world.key(world.a).get(url).status_code == 200
    assert world.key(world.a).post("/channels", BODY).status_code == 403


def test_make_read_change_archive(world, admin):
    answer = made(admin)
    found = answer.get_json()
    assert answer.headers["Location"] == f"/api/v1/channels/{found['channel_id']}"
    assert {k: found[k] for k in BODY if k != "password"} == {k: v for k, v in BODY.items() if k != "password"}
    assert found["has_password"] is True and found["return_path"] is None and found["kind"] == "smtp"
    assert found["fingerprint"] == {
        "kind": "smtp",
        "purpose": "marketing",
        "from_name": "Northwind Outdoor",
        "from_address": "news@northwind.example",
        "reply_to": "help@northwind.example",
        "return_path": None,
        "host": "smtp.relay.example",
    }
    url = f"/channels/{found['channel_id']}"
    read = admin.get(url)
    assert read.get_json() == found and read.headers["ETag"] == '"1"'
    changed = admin.patch(url, {"from_name": "Northwind", "reply_to": None, "rate_per_minute": None}, etag='"1"')
    assert changed.status_code == 200 and changed.headers["ETag"] == '"2"'
    now = changed.get_json()
    assert (now["from_name"], now["reply_to"], now["rate_per_minute"]) == ("Northwind", None, None)
    assert now["has_password"] is True
    assert admin.patch(url, {"name": "x"}, etag='"1"').status_code == 412
    assert admin.patch(url, {"name": "x"}).status_code == 428
    assert admin.delete(url).status_code == 428
    assert admin.delete(url, etag='"1"').status_code == 412
    assert admin.delete(url, etag='"2"').status_code == 204
    assert admin.get(url).status_code == 404
    assert admin.get("/channels").get_json()["data"] == []


def test_a_change_that_changes_nothing_makes_no_version(admin):
    found = made(admin).get_json()
    same = admin.patch(f"/channels/{found['channel_id']}", {"name": "Newsletter"}, etag='"1"')
    assert same.get_json() == found


def test_the_purpose_and_other_fields_cannot_be_set(admin):
    url = f"/channels/{made(admin).get_json()['channel_id']}"
    for field, value in {
        "purpose": "transactional", "kind": "sms", "tenant_id": "x", "version": 7, "has_password": False,
        "password_sealed": "x", "archived_at": None, "last_test_at": None, "fingerprint": {},
    }.items():  # fmt: skip
        assert pointers(admin.patch(url, {field: value}, etag='"1"')) == {f"/{field}"}
        if field != "purpose":
            assert pointers(admin.post("/channels", {**BODY, "name": "n", field: value})) == {f"/{field}"}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"from_name": "a\r\nBcc: x@y.example"}, "/from_name"),
        ({"from_name": "=?utf-8?q?a=0D=0ABcc:_x@y.example?="}, "/from_name"),
        ({"from_name": "a\u2028b"}, "/from_name"),
        ({"from_address": "a@x.example, b@x.example"}, "/from_address"),
        ({"reply_to": "x"}, "/reply_to"),
        ({"return_path": "a@x.example\nb"}, "/return_path"),
        ({"host": "127.0.0.1"}, "/host"),
        ({"host": "169.254.169.254"}, "/host"),
        ({"host": "user@smtp.relay.example"}, "/host"),
        ({"host": "http://smtp.relay.example"}, "/host"),
        ({"port": 8025}, "/port"),
        ({"port": 70000}, "/port"),
        ({"port": "587"}, "/port"),
        ({"security": "ssl"}, "/security"),
        ({"security": "none"}, "/security"),
        ({"username": None}, "/username"),
        ({"password": None}, "/password"),
        ({"password": "a\0b"}, "/password"),
        ({"purpose": "spam"}, "/purpose"),
        ({"rate_per_minute": 0}, "/rate_per_minute"),
        ({"rate_per_minute": 10**9}, "/rate_per_minute"),
        ({"name": " "}, "/name"),
    ],
)
def test_what_cannot_be_used_is_refused_on_making_and_changing(admin, changes, wrong):
    assert pointers(admin.post("/channels", {**BODY, **changes})) == {wrong}
    if wrong != "/purpose":
        url = f"/channels/{made(admin).get_json()['channel_id']}"
        given = {"password": "again", **changes}
        assert pointers(admin.patch(url, given, etag='"1"')) == {wrong}


def test_names_are_unique_in_a_workspace_only(world, admin):
    made(admin)
    again = admin.post("/channels", BODY)
    assert (again.status_code, again.get_json()["code"]) == (409, "name_taken")
    made(world.client(world.b, Role.ADMIN))
    url = f"/channels/{made(admin, name='Other').get_json()['channel_id']}"
    assert admin.patch(url, {"name": "Newsletter"}, etag='"1"').get_json()["code"] == "name_taken"


@pytest.mark.parametrize(
    "changes",
    [{"host": "smtp.evil.example"}, {"port": 465}, {"security": "tls"}, {"username": "other"},
     {"host": "smtp.evil.example", "password": None}],
)  # fmt: skip
def test_a_stored_password_does_not_go_elsewhere(world, admin, engine, changes):
    url = f"/channels/{made(admin).get_json()['channel_id']}"
    before = admin.get(url).get_json()
    refused = admin.patch(url, changes, etag='"1"')
    assert pointers(refused) == {"/password"}
    if "password" not in changes:
        assert refused.get_json()["code"] == "password_needed"
    assert admin.get(url).get_json() == before
    if "password" not in changes:
        assert admin.patch(url, {**changes, "password": "new"}, etag='"1"').status_code == 200


def test_removing_the_user_name_forgets_the_password(admin):
    url = f"/channels/{made(admin).get_json()['channel_id']}"
    found = admin.patch(url, {"username": None, "host": "smtp.other.example"}, etag='"1"').get_json()
    assert (found["username"], found["has_password"]) == (None, False)


def test_the_password_is_in_no_answer_and_in_no_table(world, admin, engine, owner_engine):
    answers = [made(admin)]
    url = f"/channels/{answers[0].get_json()['channel_id']}"
    answers += [
        admin.get(url),
        admin.get("/channels"),
        admin.patch(url, {"password": "hunter3-canary"}, etag='"1"'),
        admin.patch(url, {"host": "x y", "password": "hunter4-canary"}, etag='"2"'),
        admin.patch(url, {"host": "smtp.b.example"}, etag='"2"'),
    ]
    assert not any("canary" in answer.text or "sealed" in answer.text for answer in answers)
    with bound(engine, world.a) as session:
        for table in ("channel_configuration", "audit_entry", "idempotent_answer", "tenant_key"):
            rows = session.execute(sa.text(f"SELECT CAST(t AS text) FROM {table} t")).scalars().all()
            assert not any("canary" in row or b"canary".hex() in row for row in rows)


def test_idempotency_keeps_no_password(world, admin, engine):
    first = admin.post("/channels", BODY, headers={"Idempotency-Key": "k1"})
    second = admin.post("/channels", BODY, headers={"Idempotency-Key": "k1"})
    assert first.get_json() == second.get_json()
    assert second.headers["Idempotency-Replayed"] == "true"
    with bound(engine, world.a) as session:
        kept = session.execute(sa.text("SELECT CAST(t AS text) FROM idempotent_answer t")).scalars().all()
    assert kept and not any("canary" in row for row in kept)


def test_the_list_is_paged_and_can_be_narrowed(admin):
    ids = [made(admin, name=f"n{i}").get_json()["channel_id"] for i in range(3)]
    ids.append(made(admin, name="t", purpose="transactional").get_json()["channel_id"])
    first = admin.get("/channels?limit=3").get_json()
    assert [row["channel_id"] for row in first["data"]] == ids[:3] and first["has_more"]
    rest = admin.get(f"/channels?limit=3&after={first['next_cursor']}").get_json()
    assert [row["channel_id"] for row in rest["data"]] == ids[3:] and not rest["has_more"]
    assert [row["channel_id"] for row in admin.get("/channels?purpose=transactional").get_json()["data"]] == ids[3:]
    assert admin.get("/channels?purpose=spam").status_code == 422


@pytest.mark.parametrize("what", ["chn_x", "cam_01h00000000000000000000000", "chn_00000000000000000000000000", "%00"])
def test_ids_that_are_none(admin, what):
    answer = admin.get(f"/channels/{what}")
    assert (answer.status_code, answer.get_json()["code"]) == (404, "not_found")


def test_the_audit_has_ids_and_words_only(world, admin, engine):
    url = f"/channels/{made(admin).get_json()['channel_id']}"
    admin.patch(url, {"from_name": "N", "password": "x"}, etag='"1"')
    admin.delete(url, etag='"2"')
    with bound(engine, world.a) as session:
        rows = session.execute(
            sa.text("SELECT action, subject, facts FROM audit_entry WHERE action LIKE 'channel.%' ORDER BY no")
        ).all()
    subject = url.rpartition("/")[2]
    assert [tuple(row) for row in rows] == [
        ("channel.created", subject, {"kind": "smtp", "purpose": "marketing", "security": "starttls"}),
        ("channel.changed", subject, {"changed": ["from_name", "password"]}),
        ("channel.archived", subject, {}),
    ]


def test_what_is_in_use_stays(admin, monkeypatch):
    monkeypatch.setattr(configurations, "_in_use", [*configurations._in_use])
    url = f"/channels/{made(admin).get_json()['channel_id']}"
    configurations.keep_while(lambda session, channel_id: True)
    answer = admin.delete(url, etag='"1"')
    assert (answer.status_code, answer.get_json()["code"]) == (409, "channel_in_use")
    assert admin.get(url).status_code == 200


# Test messages: an application whose EGRESS_ALLOW names the sink.


@pytest.fixture
def sink():
    with SmtpSink(login=("northwind", "right")) as found:
        yield found


@pytest.fixture
def closed_port():
    """A port that nobody listens on and nobody else gets."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def place(servers, database, redis_db, sink, closed_port):
    """A world in an application that may reach the sink."""
    allow = f"{sink.address},127.0.0.1:{closed_port}"
    app = create_app(make_settings(servers, database, redis_db=redis_db, EGRESS_ALLOW=allow))
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with app.app_context():
        engine = db.engine
    yield make_world(app, engine)
    engine.dispose()


def tried(place, sink, *, to=None, **changes):
    """Make a configuration that leads to the sink, test it; returns the answer and the configuration."""
    admin = place.client(place.a, Role.ADMIN)
    body = {"host": sink.host, "port": sink.port, "security": "none", "username": "northwind", "password": "right"}
    url = f"/channels/{made(admin, **body | changes).get_json()['channel_id']}"
    answer = admin.post(f"{url}/test", {"to": to or place.a.emails[Role.ADMIN]})
    return answer, admin.get(url).get_json()


def test_a_test_message_arrives(place, sink):
    answer, found = tried(place, sink, return_path="bounces@northwind.example")
    assert answer.get_json() == {"accepted": True, "text": "accepted by 127.0.0.1"}
    assert found["last_test_at"] and found["last_test_error"] is None and found["version"] == 1
    (message,) = sink.messages
    assert (message.mail_from, message.rcpt) == ("bounces@northwind.example", place.a.emails[Role.ADMIN])
    read = message_from_bytes(message.data)
    assert read["From"] == '"Northwind Outdoor" <news@northwind.example>'
    assert read["Reply-To"] == "<help@northwind.example>"
    assert sink.commands[-1] == "QUIT"


@pytest.mark.parametrize(
    ("act", "changes", "text"),
    [
        (None, {"password": "wrong"}, "The server refused the sign-in"),
        (None, {"security": "starttls"}, "The server offers no connection that can be trusted (TLS)"),
        ("550 5.1.1 secret banner", {}, "The server refused the sender or recipient"),
        (Do(At.DOT, "554 5.7.1 secret banner"), {}, "The server refused the message"),
        (Do(At.DOT, then=Then.CLOSE), {}, "The server did not answer in time"),
    ],
)
def test_failures_are_told_in_general_words(place, sink, act, changes, text):
    if act is not None:
        sink.script[place.a.emails[Role.ADMIN]] = act
    answer, found = tried(place, sink, **changes)
    assert answer.get_json() == {"accepted": False, "text": text}
    assert found["last_test_error"] == text and found["last_test_at"]


def test_a_closed_port_is_told_in_general_words(place, sink, closed_port):
    answer, _ = tried(place, sink, port=closed_port)
    assert answer.get_json() == {"accepted": False, "text": "The server cannot be reached"}


def test_what_was_stored_before_is_checked_again_at_use(place, sink, owner_engine):
    """A row that came past the checks (restored, edited) leads nowhere that is not allowed."""
    admin = place.client(place.a, Role.ADMIN)
    url = f"/channels/{made(admin).get_json()['channel_id']}"
    with bound(place.engine, place.a) as session:
        session.execute(sa.text("UPDATE channel_configuration SET host = '127.0.0.1', port = 6379"))
        session.commit()
    answer = admin.post(f"{url}/test", {"to": place.a.emails[Role.ADMIN]})
    assert answer.get_json() == {"accepted": False, "text": "The server cannot be reached"}


def test_tests_go_to_members_only(place, sink):
    for to in (
        "stranger@example.net",
        place.b.emails[Role.ADMIN],
        "a b",
        f"{place.owner_email}\r\nRCPT TO:<x@y.example>",
    ):
        answer, found = tried(place, sink, to=to, name=f"to {to!r}"[:90])
        assert pointers(answer) == {"/to"}
        assert found["last_test_at"] is None
    assert sink.messages == [] and sink.connections == 0
    answer, _ = tried(place, sink, to=place.owner_email, name="boss")
    assert answer.get_json()["accepted"] is True


def test_managers_may_test(place, sink):
    _, found = tried(place, sink)
    manager = place.client(place.a, Role.MANAGER)
    again = manager.post(f"/channels/{found['channel_id']}/test", {"to": place.a.emails[Role.VIEWER]})
    assert again.get_json()["accepted"] is True
    assert [m.rcpt for m in sink.messages] == [place.a.emails[Role.ADMIN], place.a.emails[Role.VIEWER]]
