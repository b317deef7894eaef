"""Invitations: made, mailed, accepted once; what is over says so in one way."""

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from saas.accounts.rules import token_hash
from saas.audit.queries import entries_about, verify
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, show, uuid7
from saas.permissions.types import Role
from saas.tenants.models import Invitation
from saas.tenants.rules import new_token
from saas.tenants.service import invitations
from tests.api.post_office import opened
from tests.worlds import PASSWORD, Client, bound, make_world

pytestmark = pytest.mark.integration

SECRET = "a-new-password-9"


@pytest.fixture
def strangers(app, engine):
    return make_world(app, engine)


@pytest.fixture
def post_office(engine, app_settings, empty_agenda):
    with opened(engine, app_settings) as office:
        yield office


@pytest.fixture
def bea():
    return f"bea.{uuid7().hex}@northwind.example"


def invite(client, email, role="manager", **more):
    answer = client.post("/invitations", {"invitations": [{"email": email, "role": role, **more}]})
    assert answer.status_code == 201, answer.text
    return answer.get_json()["data"][0]


def accept(world, token, password=SECRET, name="Bea Buyer"):
    client = Client(world.app, workspace=world.a.wsp)
    answer = client.post("/invitations:accept", {"token": token, "name": name, "password": password})
    if answer.status_code == 201:
        client.csrf = answer.get_json()["csrf_token"]
    return client, answer


def is_gone(answer):
    return (answer.status_code, answer.get_json()["code"], answer.get_json()["detail"]) == (
        404, "invitation_gone", "This invitation is no longer valid. Ask for a new one.",
    )  # fmt: skip


def test_nobody_is_refused(world):
    some = show("inv", uuid7())
    for method, path in (("POST", "/invitations"), ("GET", "/invitations"), ("POST", f"/invitations/{some}/resend"),
                         ("DELETE", f"/invitations/{some}")):  # fmt: skip
        assert world.nobody(world.a).call(method, path, json={}).status_code == 401


def test_a_stranger_finds_nothing(world, strangers, bea):
    own = invite(world.client(world.a, Role.ADMIN), bea)["invitation_id"]
    for client in (strangers.client(strangers.a, Role.ADMIN), world.client(world.b, Role.ADMIN)):
        for some in (own, show("inv", uuid7()), "nonsense"):
            for answer in (client.post(f"/invitations/{some}/resend"), client.delete(f"/invitations/{some}")):
                assert answer.status_code == 404
                assert answer.get_json()["detail"] == "There is no such invitation in this workspace."
        assert bea not in client.get("/invitations").text


def test_a_viewer_invites_nobody(world, bea):
    viewer = world.client(world.a, Role.VIEWER)
    lines = {"invitations": [{"email": bea, "role": "viewer"}]}
    assert viewer.post("/invitations", lines).get_json()["action"] == "member:write"
    assert viewer.get("/invitations").status_code == 403
    assert world.client(world.a, Role.MANAGER).post("/invitations", lines).status_code == 403
    assert world.key(world.a).post("/invitations", lines).status_code == 403


def test_from_the_invitation_to_the_first_request(world, engine, post_office, bea):
    made = invite(world.client(world.a, Role.ADMIN), bea.upper(), role="approver", name="Bea")
    assert (made["email"], made["outcome"], made["state"]) == (bea, "invited", "pending")
    assert post_office.deliver() == 1
    listed = world.client(world.a, Role.APPROVER).get("/invitations").get_json()["data"]
    assert [(row["invitation_id"], row["state"]) for row in listed] == [(made["invitation_id"], "sent")]
    assert "token" not in str(listed)
    [token] = post_office.tokens(bea)
    client, answer = accept(world, token)
    assert answer.status_code == 201
    assert set(answer.get_json()) == {"account_id", "name", "email", "csrf_token"}
    assert (answer.get_json()["email"], answer.get_json()["name"]) == (bea, "Bea Buyer")
    assert client.get("/workspaces").get_json()["data"][0]["roles"] == [{"role": "approver", "project_id": None}]
    assert client.get("/members").status_code == 200
    assert is_gone(accept(world, token)[1])
    assert is_gone(accept(world, token, password="wrong-password-1")[1])
    assert world.client(world.a, Role.ADMIN).get("/invitations").get_json()["data"] == []
    with bound(engine, world.a) as session:
        entries = entries_about(session, made["invitation_id"])
        assert [entry.action for entry in entries] == ["invitation.accepted", "invitation.made"]
        assert bea not in str([entry.facts for entry in entries])
        assert verify(session) is None
    again = Client(world.app).http.post("/api/v1/sessions", json={"email": bea, "password": SECRET})
    assert again.status_code == 201


def test_several_at_once_each_with_its_answer(world, bea, strangers):
    admin = world.client(world.a, Role.ADMIN)
    lines = [
        {"email": bea, "role": "manager"},
        {"email": "nonsense", "role": "manager"},
        {"email": world.a.emails[Role.VIEWER], "role": "viewer"},
        {"email": world.a.emails[Role.VIEWER], "role": "manager", "project_id": world.a.prj},
        {"email": f"x{bea}", "role": "manager", "project_id": world.b.prj},
        {"email": f" {bea} ", "role": "viewer"},
        {"email": strangers.a.emails[Role.ADMIN], "role": "viewer"},
        {"email": f"ü{bea}", "role": "viewer"},
    ]
    rows = admin.post("/invitations", {"invitations": lines}).get_json()["data"]
    assert [row["outcome"] for row in rows] == [
        "invited", "invalid", "already_member", "invited", "invalid", "invalid", "invited", "invalid",
    ]  # fmt: skip
    assert "role viewer" in rows[2]["detail"]
    listed = admin.get("/invitations?limit=2").get_json()
    assert (len(listed["data"]), listed["has_more"]) == (2, True)


def test_a13_one_address_has_one_line_in_a_batch(world, engine, bea):
    """Which of two roles was meant, nobody knows: the first line holds, the later one says so."""
    lines = [
        {"email": "somebody@northwind.example", "role": "viewer"},
        {"email": bea, "role": "viewer"},
        {"email": bea.upper(), "role": "admin"},
        {"email": bea, "role": "manager", "project_id": world.a.prj},
        {"email": f" {bea}", "role": "viewer"},
    ]
    answer = world.client(world.a, Role.ADMIN).post("/invitations", {"invitations": lines})
    replies = answer.get_json()["data"]
    assert [each["outcome"] for each in replies] == ["invited", "invited", "invalid", "invited", "invalid"]
    assert {replies[at]["detail"] for at in (2, 4)} == {"This address stands in line 2 already."}
    with bound(engine, world.a) as session:
        made = session.execute(sa.text("SELECT email, role FROM invitation ORDER BY invitation_id")).all()
        said = session.scalar(sa.text("SELECT count(*) FROM audit_entry WHERE action = 'invitation.made'"))
    assert [tuple(row) for row in made] == [
        ("somebody@northwind.example", "viewer"), (bea, "viewer"), (bea, "manager"),
    ]  # fmt: skip
    assert said == 3


def test_the_mail_is_well_formed_and_says_who_and_where(world, post_office, bea):
    invite(world.client(world.a, Role.ADMIN), bea, name="=?utf-8?q?Bea=0D=0ABcc:_evil@example.org?=")
    post_office.deliver()
    [(rcpt, raw)] = post_office.taken
    assert rcpt == [bea]
    head = raw.partition(b"\r\n\r\n")[0].decode()
    names = [line.split(":")[0] for line in head.split("\r\n") if not line.startswith(" ")]
    assert names == ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
                     "X-Peer", "X-MailFrom", "X-RcptTo"][: len(names)]  # fmt: skip
    text = post_office.text(raw)
    assert "Admin North invites you to the workspace Northwind north as a manager" in text
    assert post_office.settings.public_url in text
    assert b"<img" not in raw


def test_a_server_that_refuses_is_tried_again(world, engine, post_office, bea):
    made = invite(world.client(world.a, Role.ADMIN), bea)
    post_office.refuses = True
    assert post_office.deliver() == 1
    with engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT failures, last_error, due_at > now() AS later FROM agenda").one()
    assert (row.failures, row.later) == (1, True)
    assert row.last_error == "MailNotSent: The mail server refused the message (451)."
    listed = world.client(world.a, Role.ADMIN).get("/invitations").get_json()["data"]
    assert listed[0]["state"] == "pending"
    post_office.refuses = False
    assert post_office.deliver() == 0
    assert post_office.deliver(later=timedelta(minutes=1)) == 1
    assert len(post_office.tokens(bea)) == 1
    assert made["invitation_id"] == listed[0]["invitation_id"]


def test_a_server_that_is_not_there_is_tried_again(world, engine, app_settings, post_office, bea):
    invite(world.client(world.a, Role.ADMIN), bea)
    post_office.settings = app_settings  # port 1, and no exception in EGRESS_ALLOW
    assert post_office.deliver() == 1
    with engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT failures, last_error FROM agenda").one()
    assert row.failures == 1
    assert row.last_error.startswith("MailNotSent: The mail server cannot be used")
    assert bea not in row.last_error


def test_resending_ends_the_old_link(world, post_office, bea):
    admin = world.client(world.a, Role.ADMIN)
    made = invite(admin, bea)
    post_office.deliver()
    again = admin.post(f"/invitations/{made['invitation_id']}/resend")
    assert (again.status_code, again.get_json()["state"]) == (200, "pending")
    [old] = post_office.tokens(bea)
    assert is_gone(accept(world, old)[1])
    post_office.deliver()
    _, new = post_office.tokens(bea)
    assert is_gone(accept(world, old)[1])
    assert accept(world, new)[1].status_code == 201
    assert admin.post(f"/invitations/{made['invitation_id']}/resend").get_json()["code"] == "invitation_closed"
    assert admin.delete(f"/invitations/{made['invitation_id']}").get_json()["code"] == "invitation_closed"


def test_inviting_again_changes_the_open_one(world, post_office, bea):
    admin = world.client(world.a, Role.ADMIN)
    first = invite(admin, bea, role="manager")
    post_office.deliver()
    second = invite(admin, bea, role="viewer")
    assert second["outcome"] == "updated"
    assert second["invitation_id"] == first["invitation_id"]
    post_office.deliver()
    old, new = post_office.tokens(bea)
    assert is_gone(accept(world, old)[1])
    client, answer = accept(world, new)
    assert answer.status_code == 201
    assert client.get("/workspaces").get_json()["data"][0]["roles"][0]["role"] == "viewer"


def test_a_withdrawn_invitation_is_over(world, post_office, bea):
    admin = world.client(world.a, Role.ADMIN)
    made = invite(admin, bea)
    post_office.deliver()
    path = f"/invitations/{made['invitation_id']}"
    assert [admin.delete(path).status_code for _ in range(2)] == [204, 204]
    assert is_gone(accept(world, post_office.tokens(bea)[0])[1])
    assert admin.post(f"{path}/resend").status_code == 409
    early = invite(admin, f"x{bea}")
    admin.delete(f"/invitations/{early['invitation_id']}")
    assert post_office.deliver() == 0


def test_an_invitation_ends_by_itself(world, engine, post_office, bea):
    made = invite(world.client(world.a, Role.ADMIN), bea)
    late = invite(world.client(world.a, Role.ADMIN), f"late.{bea}")
    post_office.deliver()
    with bound(engine, world.a) as session:
        session.execute(
            sa.update(Invitation)
            .where(Invitation.tenant_id == world.a.tenant_id)
            .values(expires_at=SystemClock().now())
        )
        session.commit()
    assert is_gone(accept(world, post_office.tokens(bea)[0])[1])
    admin = world.client(world.a, Role.ADMIN)
    assert {row["state"] for row in admin.get("/invitations").get_json()["data"]} == {"expired"}
    assert invite(admin, bea)["invitation_id"] == made["invitation_id"]
    assert admin.post(f"/invitations/{late['invitation_id']}/resend").get_json()["state"] == "pending"


def test_forged_tokens_sound_like_spent_ones(world, post_office, bea):
    made = invite(world.client(world.a, Role.ADMIN), bea)
    post_office.deliver()
    [good] = post_office.tokens(bea)
    raw = bytearray(base64.urlsafe_b64decode(good + "=="))
    flipped = []
    for place in range(0, 64, 5):
        raw[place] ^= 1
        flipped.append(base64.urlsafe_b64encode(raw).rstrip(b"=").decode())
        raw[place] ^= 1
    inv = parse("inv", made["invitation_id"])
    forged = [*flipped, "x", "=" * 86, "é" * 86, new_token(world.a.tenant_id, inv), new_token(world.b.tenant_id, inv),
              new_token(uuid7(), inv), good[:-1] + chr(ord(good[-1]) + 1), good + "=="]  # fmt: skip
    assert all(is_gone(accept(world, token)[1]) for token in forged)
    assert accept(world, good)[1].status_code == 201


def test_an_account_with_a_password_must_give_it(world, strangers, post_office):
    known = strangers.a.emails[Role.MANAGER]
    invite(world.client(world.a, Role.ADMIN), known)
    post_office.deliver()
    [token] = post_office.tokens(known)
    _, wrong = accept(world, token, password=SECRET)
    assert (wrong.status_code, wrong.get_json()["code"]) == (401, "wrong_credentials")
    for _ in range(4):
        accept(world, token, password=SECRET)
    assert accept(world, token, password=PASSWORD)[1].status_code == 429
    with strangers.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM sign_in_guard")
    client, right = accept(world, token, password=PASSWORD)
    assert right.status_code == 201
    assert right.get_json()["name"] == "Manager North"
    rows = client.get("/workspaces").get_json()["data"]
    assert {row["workspace_id"] for row in rows} == {world.a.wsp, strangers.a.wsp}


def test_a_weak_password_spends_nothing(world, post_office, bea):
    invite(world.client(world.a, Role.ADMIN), bea)
    post_office.deliver()
    [token] = post_office.tokens(bea)
    weak = accept(world, token, password="short")[1]
    assert weak.status_code == 422
    assert weak.get_json()["errors"][0]["pointer"] == "/password"
    assert accept(world, token)[1].status_code == 201


def test_of_two_who_accept_at_once_one_is_in(world, post_office, bea):
    invite(world.client(world.a, Role.ADMIN), bea)
    post_office.deliver()
    [token] = post_office.tokens(bea)
    gate = Barrier(2)

    def run(password):
        gate.wait()
        return accept(world, token, password=password)[1].status_code

    with ThreadPoolExecutor(2) as pool:
        found = sorted(run.result(30) for run in [pool.submit(run, f"{SECRET}-{n}") for n in "ab"])
    assert found[0] == 201
    assert found[1] in {401, 404}


def test_a_suspended_account_does_not_come_back_by_invitation(world, strangers, post_office):
    known = strangers.a.emails[Role.MANAGER]
    with strangers.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE account SET suspended_at = now(), password_hash = NULL WHERE email = %s", (known,)
        )
    invite(world.client(world.a, Role.ADMIN), known)
    post_office.deliver()
    [token] = post_office.tokens(known)
    assert accept(world, token)[1].status_code == 401


def test_an_invitation_never_takes_the_last_administrator(world, engine, post_office, bea):
    """Invited as a viewer, made administrator meanwhile, and by then the only one."""
    admin = world.client(world.a, Role.ADMIN)
    person = world.b.emails[Role.VIEWER]
    invite(admin, person, role="viewer")
    post_office.deliver()
    [token] = post_office.tokens(person)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE role_grant SET account_id = %s WHERE tenant_id = %s AND role = 'admin'",
            (world.b.accounts[Role.VIEWER], world.a.tenant_id),
        )
    _, answer = accept(world, token, password=PASSWORD)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "last_admin")


def test_the_page_sees_what_the_link_is_for(world, engine, post_office, bea):
    invite(world.client(world.a, Role.ADMIN), bea, name="Bea")
    post_office.deliver()
    [token] = post_office.tokens(bea)
    with sa.orm.Session(engine) as session:
        found = invitations.look_at_invitation(session, token=token, now=SystemClock().now())
    assert (found.email, found.name, found.role, found.has_password) == (bea, "Bea", Role.MANAGER, False)
    assert found.workspace_name == "Northwind north"


def test_only_the_hash_of_a_token_is_kept(world, engine, owner_engine, post_office, bea):
    made = invite(world.client(world.a, Role.ADMIN), bea)
    post_office.deliver()
    [token] = post_office.tokens(bea)
    with bound(engine, world.a) as session:
        row = session.get(Invitation, (world.a.tenant_id, parse("inv", made["invitation_id"])))
        assert row.token_hash == token_hash(token)
        assert token not in str(session.execute(sa.text("SELECT invitation::text FROM invitation")).all())


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/invitations"),
        ({"invitations": []}, "/invitations"),
        ({"invitations": [{"email": "a@b.example"}]}, "/invitations/0/role"),
        ({"invitations": [{"email": "a@b.example", "role": "agency_owner"}]}, "/invitations/0/role"),
        ({"invitations": [{"email": "a@b.example", "role": "viewer", "token_hash": "x"}]}, "/invitations/0/token_hash"),
        ({"invitations": [{"email": "a@b.example", "role": "viewer", "name": "a\nb"}]}, "/invitations/0/name"),
        ({"invitations": [{"email": "a@b.example", "role": "viewer"}] * 51}, "/invitations"),
    ],
)
def test_wrong_values_have_a_pointer(world, body, pointer):
    answer = world.client(world.a, Role.ADMIN).post("/invitations", body)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]


def test_a_projects_administrator_invites_there_only(world, bea):
    admin = world.client(world.a, Role.ADMIN)
    path = f"/members/{show('acc', world.a.accounts[Role.VIEWER])}"
    assert admin.patch(path, {"role": "admin", "project_id": world.a.prj}).status_code == 200
    local = world.client(world.a, Role.VIEWER)
    wide = {"invitations": [{"email": bea, "role": "viewer"}]}
    assert local.post("/invitations", wide).status_code == 403
    own = invite(local, bea, project_id=world.a.prj)
    other = invite(admin, bea)
    assert [row["invitation_id"] for row in local.get("/invitations").get_json()["data"]] == [own["invitation_id"]]
    assert local.delete(f"/invitations/{other['invitation_id']}").status_code == 403
    assert local.post(f"/invitations/{own['invitation_id']}/resend").status_code == 200
