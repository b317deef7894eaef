"""The agency (R14): staff and what they reach, the last owner, invitations; no campaign role comes with it."""

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.service import people as accounts
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, show, uuid7
from saas.permissions.queries import staff_role
from saas.permissions.rules import agency_rights_of
from saas.permissions.types import Actor, ActorKind, Role
from saas.tenants.service import agency, staff
from saas.tenants.types import LastOwner
from tests.api.post_office import opened
from tests.tally import size
from tests.worlds import PASSWORD, Client, make_world

pytestmark = pytest.mark.integration


@pytest.fixture
def strangers(app, engine):
    return make_world(app, engine)


@pytest.fixture
def post_office(engine, app_settings, empty_agenda):
    with opened(engine, app_settings) as office:
        yield office


def agn(world):
    return show("agn", world.agency_id)


def owner(world):
    return world.client(world.a, Role.AGENCY_OWNER)


def hire(world, role, name="Una Staff"):
    """A person of the staff, with a client of their own."""
    now, email = SystemClock().now(), f"{uuid7().hex}@lantern.example"
    with Session(world.engine, expire_on_commit=False) as session:
        row = accounts.ensure_account(session, email=email, name=name, now=now)
        accounts.set_password(session, row, PASSWORD, cost=1)
        staff.put_staff(
            session, agency_id=world.agency_id, account_id=row.account_id, role=role, granted_by=None, now=now
        )
        session.commit()
    return show("acc", row.account_id), Client(world.app, workspace=world.a.wsp).sign_in(email)


def give(world, account, place):
    return owner(world).call("PUT", f"/agencies/{agn(world)}/staff/{account}/workspaces/{place.wsp}")


def paths(world, account, invitation):
    base = f"/agencies/{agn(world)}"
    return [
        ("GET", f"{base}/staff"), ("PATCH", f"{base}/staff/{account}"), ("DELETE", f"{base}/staff/{account}"),
        ("PUT", f"{base}/staff/{account}/workspaces/{world.a.wsp}"),
        ("DELETE", f"{base}/staff/{account}/workspaces/{world.a.wsp}"), ("GET", f"{base}/workspaces"),
        ("POST", f"{base}/staff-invitations"), ("GET", f"{base}/staff-invitations"),
        ("POST", f"{base}/staff-invitations/{invitation}/resend"), ("DELETE", f"{base}/staff-invitations/{invitation}"),
    ]  # fmt: skip


def body_of(path, method):
    if path.endswith("/staff-invitations") and method == "POST":
        return {"invitations": [{"email": "x@lantern.example", "role": "agency_member"}]}
    return {"role": "agency_member"} if method == "PATCH" else {}


def test_nobody_and_strangers_find_no_agency(world, strangers):
    """The agency of others is as missing as one that never was, for its owners too (security.md A)."""
    account, _ = hire(world, Role.AGENCY_MEMBER)
    missing = agn(world)[:-4] + "0000"
    for method, path in paths(world, account, show("inv", uuid7())):
        body = body_of(path, method)
        assert world.nobody().call(method, path, json=body).status_code == 401, path
        assert world.key(world.a).call(method, path, json=body).status_code == 401, path
        foreign = owner(strangers).call(method, path, json=body)
        none = owner(strangers).call(method, path.replace(agn(world), missing), json=body)
        assert foreign.status_code == none.status_code == 404, (path, foreign.text)
        assert foreign.get_json()["detail"] == none.get_json()["detail"]
        for role in (Role.ADMIN, Role.VIEWER):
            assert world.client(world.a, role).call(method, path, json=body).status_code == 403, path


def test_the_owner_of_another_agency_cannot_give_our_workspace_away(world, strangers):
    """A composite check: own agency, foreign workspace (Formbricks CVE-2026-110620)."""
    account, _ = hire(strangers, Role.AGENCY_ADMIN)
    path = f"/agencies/{agn(strangers)}/staff/{account}/workspaces/{world.a.wsp}"
    assert owner(strangers).call("PUT", path).status_code == 404
    assert owner(strangers).call("DELETE", path).status_code == 404


def test_an_administrator_reaches_what_they_were_given_and_has_no_campaign_role(world):
    account, una = hire(world, Role.AGENCY_ADMIN)
    assert una.get("/members").status_code == 404
    assert give(world, account, world.a).status_code == 204
    assert una.get("/members").status_code == 200
    assert una.get("/members", headers={"X-Workspace": world.b.wsp}).status_code == 404
    for path in ("/campaigns", "/lists", "/channels"):
        assert una.get(path).status_code == 403, path
    listed = una.get("/workspaces").get_json()["data"]
    assert [(row["workspace_id"], row["roles"]) for row in listed] == [
        (world.a.wsp, [{"role": "agency_admin", "project_id": None}])
    ]
    rows = una.get(f"/agencies/{agn(world)}/workspaces").get_json()["data"]
    assert [row["workspace_id"] for row in rows] == [world.a.wsp]
    away = owner(world).delete(f"/agencies/{agn(world)}/staff/{account}/workspaces/{world.a.wsp}")
    assert away.status_code == 204
    assert una.get("/members").status_code == 404  # from the next request on


def test_a_member_sees_the_words_of_a_workspace_and_nothing_of_its_campaigns(world):
    account, una = hire(world, Role.AGENCY_MEMBER)
    assert give(world, account, world.a).status_code == 204
    assert una.get(f"/workspaces/{world.a.wsp}").status_code == 200
    for path in ("/campaigns", "/members", "/api-keys", "/lists"):
        assert una.get(path).status_code == 403, path
    assert una.post("/workspaces", {"name": "X", "time_zone": "UTC"}).status_code == 403


def test_an_administrator_makes_a_workspace_and_looks_after_it(world):
    _, una = hire(world, Role.AGENCY_ADMIN)
    made = una.post("/workspaces", {"name": "Fjord Møbler", "time_zone": "Europe/Oslo"})
    assert made.status_code == 201, made.text
    assert made.get_json()["slug"] == "fjord-mbler" or made.get_json()["slug"].startswith("fjord-m")
    here = {"X-Workspace": made.get_json()["workspace_id"]}
    assert una.post("/projects", {"name": "First"}, headers=here).status_code == 201
    again = una.post("/workspaces", {"name": "Fjord Møbler", "time_zone": "Europe/Oslo"})
    assert again.get_json()["slug"] != made.get_json()["slug"]


def test_administrators_appoint_members_only(world):
    _, una = hire(world, Role.AGENCY_ADMIN)
    member, _ = hire(world, Role.AGENCY_MEMBER)
    other, _ = hire(world, Role.AGENCY_ADMIN)
    base = f"/agencies/{agn(world)}/staff"
    assert una.patch(f"{base}/{member}", {"role": "agency_admin"}).status_code == 403
    assert una.patch(f"{base}/{other}", {"role": "agency_member"}).status_code == 403
    assert una.delete(f"{base}/{other}").status_code == 403
    assert una.patch(f"{base}/{member}", {"role": "agency_member"}).status_code == 200
    assert una.call("PUT", f"{base}/{other}/workspaces/{world.a.wsp}").status_code == 403
    changed = owner(world).patch(f"{base}/{member}", {"role": "agency_owner"})
    assert (changed.status_code, changed.get_json()["role"]) == (200, "agency_owner")


def test_nobody_gives_a_workspace_that_they_do_not_reach(world):
    _, una = hire(world, Role.AGENCY_ADMIN)
    member, _ = hire(world, Role.AGENCY_MEMBER)
    path = f"/agencies/{agn(world)}/staff/{member}/workspaces/{world.b.wsp}"
    assert una.call("PUT", path).status_code == 404


def test_off_the_staff_is_out_at_once_and_campaign_roles_are_named(world):
    account, una = hire(world, Role.AGENCY_ADMIN)
    give(world, account, world.a)
    assert una.patch(f"/members/{account}", {"role": "viewer"}).status_code == 200
    left = owner(world).delete(f"/agencies/{agn(world)}/staff/{account}")
    assert (left.status_code, left.get_json()) == (200, {"still_in": [world.a.wsp]})
    assert una.get("/members").status_code == 403  # a viewer still
    assert una.get(f"/agencies/{agn(world)}/staff").status_code == 403
    with Session(world.engine) as session:
        done = [row.action for row in agency.agency_entries(session, world.agency_id)]
    assert {"staff.dismissed", "staff.given"} <= set(done)


def test_the_agencys_page_says_what_was_done_with_names(world):
    boss, here = owner(world), f"/agencies/{agn(world)}"
    account, una = hire(world, Role.AGENCY_ADMIN, name="Una Staff")
    give(world, account, world.a)
    asked = [{"email": f"olav.{account[4:]}@lantern.example", "role": "agency_member"}]
    made = boss.post(f"{here}/staff-invitations", {"invitations": asked}).get_json()["data"][0]
    assert boss.delete(f"{here}/staff-invitations/{made['invitation_id']}").status_code == 204
    assert boss.patch(f"{here}/staff/{account}", {"role": "agency_member"}).status_code == 200
    assert una.delete(f"{here}/staff/{account}").status_code == 200
    text = boss.http.get(here).text
    lately = " ".join(re.sub("<[^>]+>", " ", text[text.index("Lately") :]).split())
    name = boss.get("/sessions/current").get_json()["name"]
    for said in (
        "Una Staff left the staff (Agency member)", f"{name} gave Una Staff another role: Agency member",
        f"{name} withdrew the invitation to {asked[0]['email']}", f"{name} invited {asked[0]['email']} to the staff (Agency member)",
        f"{name} gave Una Staff the workspace “",
    ):  # fmt: skip
        assert said in lately, (said, lately)
    assert "staff." not in lately and "Somebody" not in lately


def test_the_last_owner_stays(world):
    me = owner(world).get("/sessions/current").get_json()["account_id"]
    path = f"/agencies/{agn(world)}/staff/{me}"
    for answer in (owner(world).patch(path, {"role": "agency_admin"}), owner(world).delete(path)):
        assert (answer.status_code, answer.get_json()["code"]) == (409, "last_owner")
    hire(world, Role.AGENCY_OWNER)
    assert owner(world).patch(path, {"role": "agency_admin"}).status_code == 200


def test_two_owners_who_remove_each_other_leave_one(world):
    now = SystemClock().now()
    second, _ = hire(world, Role.AGENCY_OWNER)
    first = owner(world).get("/sessions/current").get_json()["account_id"]
    ids = (parse("acc", first), parse("acc", second))
    rights = agency_rights_of([(world.agency_id, Role.AGENCY_OWNER)])
    gate = Barrier(2)

    def remove(own, other):
        actor = Actor(ActorKind.PERSON, own, "Owner", agency_rights=rights)
        with Session(world.engine, expire_on_commit=False) as session:
            session.connection()
            gate.wait()
            try:
                staff.dismiss(session, actor=actor, agency_id=world.agency_id, account_id=other, now=now)
            except Exception as error:  # noqa: BLE001  the one who lost is refused, in one of two ways
                return type(error).__name__
            session.commit()
            return "removed"

    with ThreadPoolExecutor(2) as pool:
        for _ in range(size("admin_races")):
            runs = [pool.submit(remove, own, other) for own, other in (ids, reversed(ids))]
            found = sorted(run.result(30) for run in runs)
            assert found in (["LacksRight", "removed"], [LastOwner.__name__, "removed"]), found
            with Session(world.engine) as session:
                held = [staff_role(session, account_id=one, agency_id=world.agency_id) for one in ids]
                assert sorted(str(role) for role in held) == ["None", "agency_owner"]
                for one in ids:
                    staff.put_staff(
                        session, agency_id=world.agency_id, account_id=one, role=Role.AGENCY_OWNER, granted_by=None,
                        now=now,
                    )  # fmt: skip
                session.commit()


def test_one_address_has_one_line_in_a_batch_of_staff(world):
    bea = f"bea.{uuid7().hex}@lantern.example"
    lines = [{"email": bea, "role": "agency_admin"}, {"email": bea.upper(), "role": "agency_member"}]
    answer = world.client(world.a, Role.AGENCY_OWNER).post(
        f"/agencies/{agn(world)}/staff-invitations", {"invitations": lines}
    )
    replies = answer.get_json()["data"]
    assert [(each["outcome"], each["role"]) for each in replies] == [
        ("invited", "agency_admin"), ("invalid", "agency_member"),
    ]  # fmt: skip
    assert replies[1]["detail"] == "This address stands in line 1 already."


def test_staff_are_invited_by_mail_and_join_once(world, app, app_settings, post_office):
    """A14, A15: the link is bound to the address, works once, and ends when it is sent anew or withdrawn."""
    app.extensions["countersign"].settings, kept = post_office.settings, app.extensions["countersign"].settings
    try:
        email = f"vera.{uuid7().hex}@lantern.example"
        base = f"/agencies/{agn(world)}/staff-invitations"
        lines = [
            {"email": email, "name": "Vera", "role": "agency_admin"},
            {"email": "no address", "role": "agency_member"},
        ]
        made = owner(world).post(base, {"invitations": lines})
        assert [row["outcome"] for row in made.get_json()["data"]] == ["invited", "invalid"], made.text
        assert made.get_json()["data"][0]["state"] == "pending"
        assert post_office.taken == []  # it leaves with the agenda, not with the request
        post_office.deliver()
        first = token_of(post_office, email)
        key = made.get_json()["data"][0]["invitation_id"]
        again = owner(world).post(f"{base}/{key}/resend")
        assert (again.status_code, again.get_json()["state"], again.get_json()["sent_at"]) == (200, "pending", None)
        post_office.deliver()
        second = token_of(post_office, email)
        client = Client(world.app)
        accept = {"name": "Vera Vik", "password": "a-new-password-9"}
        assert client.post("/staff-invitations:accept", {**accept, "token": first}).status_code == 404
        joined = client.post("/staff-invitations:accept", {**accept, "token": second})
        assert (joined.status_code, joined.get_json()["email"]) == (201, email)
        assert client.post("/staff-invitations:accept", {**accept, "token": second}).status_code == 404
        rows = owner(world).get(f"/agencies/{agn(world)}/staff").get_json()["data"]
        assert {row["role"] for row in rows if row["email"] == email} == {"agency_admin"}
        withdrawn = owner(world).post(base, {"invitations": [{"email": f"x{email}", "role": "agency_member"}]})
        post_office.deliver()
        gone = withdrawn.get_json()["data"][0]["invitation_id"]
        assert owner(world).delete(f"{base}/{gone}").status_code == 204
        third = token_of(post_office, f"x{email}")
        assert client.post("/staff-invitations:accept", {**accept, "token": third}).status_code == 404
        with world.engine.connect() as connection:
            stored = connection.execute(
                sa.text("SELECT token_hash FROM staff_invitation WHERE email = :e"), {"e": email}
            )
            assert stored.scalar_one() is None
    finally:
        app.extensions["countersign"].settings = kept


def state_of(world, email):
    rows = owner(world).get(f"/agencies/{agn(world)}/staff-invitations").get_json()["data"]
    return {row["email"]: row["state"] for row in rows}[email]


def test_staff_invitations_wait_for_the_mail_server(world, post_office):
    """A14: a mail that cannot leave is tried again with another token; sending again does not wait for its turn."""
    email, base = f"vera.{uuid7().hex}@lantern.example", f"/agencies/{agn(world)}/staff-invitations"
    post_office.refuses = True
    made = owner(world).post(base, {"invitations": [{"email": email, "role": "agency_member"}]}).get_json()["data"][0]
    post_office.deliver()
    assert state_of(world, email) == "pending"
    with world.engine.connect() as connection:
        stored = sa.text("SELECT token_hash, sent_at FROM staff_invitation WHERE email = :e")
        assert tuple(connection.execute(stored, {"e": email}).one()) == (None, None)
    post_office.refuses = False
    post_office.deliver()
    assert post_office.taken == []  # it waits for its next try
    assert owner(world).post(f"{base}/{made['invitation_id']}/resend").status_code == 200
    post_office.deliver()
    assert state_of(world, email) == "sent"
    assert len(post_office.taken) == 1
    page = owner(world).http.get(f"/agencies/{agn(world)}").text
    assert email in page and "Not answered yet" in page
    again = owner(world).post(base, {"invitations": [{"email": email, "role": "agency_admin"}]}).get_json()["data"][0]
    assert (again["outcome"], again["invitation_id"]) == ("updated", made["invitation_id"])
    assert "Mail on its way" in owner(world).http.get(f"/agencies/{agn(world)}").text
    assert (
        Client(world.app)
        .post(
            "/staff-invitations:accept",
            {"name": "Vera", "password": "a-new-password-9", "token": token_of(post_office, email)},
        )
        .status_code
        == 404
    )  # the link before it ended with the new invitation
    assert owner(world).delete(f"{base}/{made['invitation_id']}").status_code == 204
    post_office.deliver()
    assert len(post_office.taken) == 1  # what was withdrawn is not mailed


def token_of(office, to):
    text = [office.text(raw) for rcpt, raw in office.taken if rcpt == [to]][-1]
    return text.partition("/staff-invitations/")[2].split()[0]


def test_the_page_shows_the_agency_to_its_staff_only(world):
    path = f"/agencies/{agn(world)}"
    hire(world, Role.AGENCY_MEMBER, name="Una Staff")
    page = owner(world).http.get(path)
    assert page.status_code == 200
    assert "Una Staff" in page.text and "Northwind north" in page.text
    assert world.client(world.a, Role.ADMIN).http.get(path).status_code == 403
    assert world.nobody().http.get(path).status_code == 303
