"""Approval policies over the API (U3, U8, R13): rules, quorum, sequence, who publishes, replay, outside approvers."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.accounts.service import people
from saas.campaigns.models import ApprovalPolicy
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, show, uuid7
from saas.permissions.types import Role
from saas.tenants.service import members
from tests import scenes
from tests.worlds import PASSWORD, Client, World, bound

pytestmark = pytest.mark.integration


@pytest.fixture
def admin(world) -> Client:
    return world.client(world.a, Role.ADMIN)


@pytest.fixture
def approver(world) -> Client:
    return world.client(world.a, Role.APPROVER)


@pytest.fixture
def manager(world) -> Client:
    return world.client(world.a, Role.MANAGER)


def codes(answer):
    return answer.status_code, answer.get_json()["code"]


def rule(name="two", *, when=None, **then):
    return {"name": name, "when": when or {}, "then": {"stages": [{"needed": 2}], **then}}


def put(client, *rules, path="/approval-policy", version=None):
    etag = client.get(path).headers["ETag"] if version is None else f'"{version}"'
    return client.put(path, {"rules": list(rules)}, etag=etag)


def somebody(world: World, role: Role, name: str, *, project_id=None) -> tuple[Client, str]:
    """One more person of a role in world.a, signed in, and their id."""
    now, email = SystemClock().now(), f"{name}.{uuid7().hex}@northwind.example"
    with bound(world.engine, world.a) as session:
        row = people.ensure_account(session, email=email, name=name.title(), now=now)
        people.set_password(session, row, PASSWORD, cost=1)
        members.grant(
            session, actor=world.a.actor(Role.ADMIN), account_id=row.account_id, role=role, project_id=project_id,
            now=now,
        )  # fmt: skip
        session.commit()
        return Client(world.app, workspace=world.a.wsp).sign_in(email), show("acc", row.account_id)


class Asked:
    """A campaign for which approval is asked."""

    def __init__(self, world: World, *, people: int = 2, tags=(), note: str = "", submit: bool = True) -> None:
        self.world = world
        self.campaign_id = scenes.make_campaign(world, world.a)
        manager = world.client(world.a, Role.MANAGER)
        if tags:
            etag = manager.get(f"/campaigns/{self.campaign_id}").headers["ETag"]
            assert manager.patch(f"/campaigns/{self.campaign_id}", {"tags": list(tags)}, etag=etag).status_code == 200
        list_id, _ = scenes.add_people(world, world.a, people, tag=f"p{uuid7().hex[-6:]}")
        channel = scenes.add_channel(world, world.a, 25, name=uuid7().hex)
        scenes.save(world, world.a, self.campaign_id, scenes.dated_draft(list_id, channel, scenes.soon()))
        self.url = f"/campaigns/{self.campaign_id}/revisions/1"
        if submit:
            sent = manager.post(f"{self.url}/submit", {"note": note})
            assert sent.status_code == 200, sent.text
            self.found = sent.get_json()
            self.hash = self.found["content_hash"]

    def decide(self, client, move="approve", comment="", **more):
        return client.post(f"{self.url}/{move}", {"content_hash": self.hash, "comment": comment, **more})

    def read(self):
        return self.world.client(self.world.a, Role.VIEWER).get(self.url).get_json()


def test_u3_only_administrators_write_policies(world, admin, manager, approver):
    for client in (manager, approver, world.client(world.a, Role.VIEWER), world.key(world.a)):
        assert codes(client.put("/approval-policy", {"rules": []}, etag='"0"')) == (403, "lacks_right")
    empty = manager.get("/approval-policy").get_json()
    assert (empty["version"], empty["rules"], empty["project_id"]) == (0, [], None)
    saved = put(admin, rule())
    assert (saved.status_code, saved.get_json()["version"]) == (200, 1)
    assert manager.get("/approval-policy").get_json()["rules"] == saved.get_json()["rules"]
    assert codes(put(admin, version=0)) == (412, "stale")
    assert put(admin).get_json()["version"] == 2
    assert world.client(world.b, Role.ADMIN).get("/approval-policy").get_json()["version"] == 0


@pytest.mark.parametrize("bad", [
    {"name": "x", "then": {"stages": []}}, {"name": "x", "then": {"stages": [{"needed": 0}]}},
    {"name": "x", "then": {"stages": [{"needed": 1, "role": "viewer"}]}}, {"name": "", "then": {"stages": [{}]}},
    {"name": "x", "when": {"kinds": ["floating"]}, "then": {"stages": [{}]}},
    {"name": "x", "when": {"channel_ids": ["chn_x"]}, "then": {"stages": [{}]}}, {"name": "x"},
    {"name": "x", "then": {"stages": [{"accounts": [show("acc", uuid7())]}]}},
    {"name": "x", "then": {"stages": [{"outside": [show("out", uuid7())]}]}},
])  # fmt: skip
def test_u3_rules_are_checked(admin, bad):
    refused = put(admin, bad)
    assert refused.status_code == 422 and refused.get_json()["errors"], refused.text
    assert admin.get("/approval-policy").get_json()["version"] == 0


def test_u3_two_of_those_who_may_approve(world, admin, approver):
    put(admin, rule())
    asked = Asked(world, note="Please look at the price.")
    standing = asked.found["approval"]
    assert (standing["state"], standing["rule"], standing["signed"], standing["needed"]) == ("open", "two", 0, 2)
    assert standing["note"] == "Please look at the price."
    assert len(standing["may_decide"]) == 2
    first = asked.decide(approver, comment="Fine.").get_json()
    assert (first["state"], first["approval"]["signed"], first["approval"]["waits_for"]) == (
        "in_review",
        1,
        "signatures",
    )
    assert first["approval"]["may_decide"] == [show("acc", world.a.accounts[Role.ADMIN])]
    assert codes(asked.decide(approver)) == (409, "already_signed")
    done = asked.decide(admin).get_json()
    assert (done["state"], done["approval"]["state"], done["approval"]["missing"]) == ("published", "approved", [])
    assert [each["decision"] for each in done["decisions"]] == ["approve", "approve"]


def test_u3_conditions_choose_the_rule(world, admin):
    put(
        admin,
        rule("legal", when={"tags": ["legal"]}),
        rule("big", when={"people_from": 5}),
        rule("calls", when={"kinds": ["api_transactional"]}),
    )
    assert Asked(world).found["approval"]["rule"] == "default"
    assert Asked(world, people=5).found["approval"]["rule"] == "big"
    assert Asked(world, people=5, tags=["Legal "]).found["approval"]["rule"] == "legal"
    own = f"/projects/{world.a.prj}/approval-policy"
    assert put(admin, rule("ours"), path=own).status_code == 200
    assert Asked(world, people=5).found["approval"]["rule"] == "ours"


def test_u3_tags_are_no_part_of_the_hash(world, manager):
    asked = Asked(world)
    etag = manager.get(f"/campaigns/{asked.campaign_id}").headers["ETag"]
    changed = manager.patch(f"/campaigns/{asked.campaign_id}", {"tags": ["b", "A", "a "]}, etag=etag).get_json()
    assert changed["tags"] == ["a", "b"]
    manager.post(f"{asked.url}/withdraw")
    assert scenes.submit(world, world.a, asked.campaign_id) == asked.hash


def test_u3_stages_in_sequence_of_named_people(world, admin, approver):
    lawyer, lawyer_id = somebody(world, Role.APPROVER, "lawyer")
    stages = [{"needed": 1, "role": "approver"}, {"needed": 1, "accounts": [lawyer_id]}]
    put(admin, rule("law", stages=stages, order="sequence"))
    asked = Asked(world)
    refused = asked.decide(admin)
    assert codes(refused) == (409, "approver_not_asked")
    assert refused.get_json()["missing"] == [{"stage": 0, "count": 1}, {"stage": 1, "count": 1}]
    first = asked.decide(approver).get_json()
    assert first["approval"]["may_decide"] == [lawyer_id]
    assert asked.decide(lawyer).get_json()["state"] == "published"


def test_r13_then_the_manager_publishes(world, admin, approver, manager):
    put(admin, rule("handed back", stages=[{"needed": 1}], publisher="manager"))
    asked = Asked(world)
    assert codes(asked.decide(manager, "publish")) == (409, "not_allowed_in_this_state")
    done = asked.decide(approver).get_json()
    assert (done["state"], done["approval"]["waits_for"]) == ("approved", "publication")
    assert codes(asked.decide(world.key(world.a), "publish")) == (403, "lacks_right")
    assert codes(asked.decide(world.client(world.a, Role.VIEWER), "publish")) == (403, "lacks_right")
    assert codes(asked.decide(manager, "publish", start="now")) == (403, "lacks_right")
    assert asked.decide(manager, "publish").get_json()["state"] == "published"


def test_r14_under_the_default_policy_a_manager_never_publishes(world, approver, manager):
    asked = Asked(world)
    assert codes(asked.decide(manager, "publish")) == (403, "lacks_right")
    asked.decide(approver)
    assert codes(asked.decide(manager, "publish")) == (403, "lacks_right")


def test_u3_a_rule_that_can_never_be_met_is_told_with_names(world, admin, manager):
    _, leaver = somebody(world, Role.APPROVER, "leaver")
    put(admin, rule("named", stages=[{"needed": 1, "accounts": [leaver]}]))
    asked = Asked(world, submit=False)
    assert admin.delete(f"/members/{leaver}").status_code in {200, 204}
    refused = manager.post(f"{asked.url}/submit")
    assert codes(refused) == (422, "approval_impossible")
    (fault,) = refused.get_json()["errors"]
    assert fault["pointer"] == "/approval/stages/0" and "Leaver" in fault["message"]
    assert manager.get(asked.url).get_json()["state"] == "editing"
    put(admin, rule("crowd", stages=[{"needed": 3}]))
    assert codes(manager.post(f"{asked.url}/submit")) == (422, "approval_impossible")


def test_r13_who_edited_is_not_asked(world, admin, approver):
    """Two are needed and there are three; the third edited, administrator or not."""
    put(admin, rule())
    somebody(world, Role.APPROVER, "third")
    asked = Asked(world, submit=False)
    etag = admin.get(asked.url).headers["ETag"]
    draft = admin.get(asked.url).get_json()["draft"]
    assert admin.put(asked.url, {"draft": draft}, etag=etag).status_code == 200
    asked.hash = scenes.submit(world, world.a, asked.campaign_id)
    assert show("acc", world.a.accounts[Role.ADMIN]) not in asked.read()["approval"]["may_decide"]
    assert codes(asked.decide(admin)) == (409, "approver_edited")
    assert asked.decide(approver).get_json()["state"] == "in_review"


def test_r13_a_lost_role_takes_the_signature_with_it(world, admin, approver):
    put(admin, rule())
    third, third_id = somebody(world, Role.APPROVER, "third")
    asked = Asked(world)
    assert asked.decide(third).get_json()["approval"]["signed"] == 1
    assert admin.patch(f"/members/{third_id}", {"role": "viewer", "project_id": None}).status_code == 200
    assert asked.read()["approval"]["signed"] == 0
    assert asked.decide(approver).get_json()["state"] == "in_review"
    done = asked.decide(admin).get_json()
    assert (done["state"], len(done["decisions"])) == ("published", 3)
    with bound(world.engine, world.a) as session:
        counted = session.scalar(sa.text("SELECT cardinality(counted) FROM approval_request"))
    assert counted == 2


def test_r13_a_lost_role_before_publication_keeps_it_from_being_published(world, admin, approver, manager):
    put(admin, rule("handed back", stages=[{"needed": 1}], publisher="manager"))
    third, third_id = somebody(world, Role.APPROVER, "third")
    asked = Asked(world)
    asked.decide(third)
    admin.delete(f"/members/{third_id}")
    assert codes(asked.decide(manager, "publish")) == (409, "approval_lapsed")


def test_u1_a_changed_channel_is_not_signed(world, approver):
    asked = Asked(world)
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE channel_configuration SET from_name = 'Somebody else'"))
        session.commit()
    assert codes(asked.decide(approver)) == (409, "channel_changed")


def test_u1_the_change_since_it_was_signed_is_named(world, admin, approver, manager):
    put(admin, rule("handed back", stages=[{"needed": 1}], publisher="manager"))
    asked = Asked(world)
    assert asked.found["changed_since_signed"] is None
    assert asked.decide(approver).get_json()["changed_since_signed"] is None
    draft = asked.read()["draft"]
    draft["steps"][0]["content"]["subject"] = "Another"
    draft["steps"][0]["at"] = scenes.wall(scenes.soon(9))
    etag = manager.get(asked.url).headers["ETag"]
    saved = manager.put(asked.url, {"draft": draft}, etag=etag).get_json()
    assert (saved["state"], saved["changed_since_signed"]) == ("editing", ["start", "subject"])
    assert saved["approval"]["state"] == "void"
    scenes.submit(world, world.a, asked.campaign_id)
    assert asked.read()["changed_since_signed"] == ["start", "subject"]
    assert asked.read()["approval"]["signed"] == 0


def test_u3_replay_says_what_a_draft_would_have_asked(world, admin, approver, manager):
    for count in (1, 2, 3, 4):
        Asked(world, people=count)
    body = {"rules": [rule("big", when={"people_from": 3})], "last": 60}
    for client in (manager, approver):
        assert codes(client.post("/approval-policy/replay", body)) == (403, "lacks_right")
    found = admin.post("/approval-policy/replay", body).get_json()
    assert (found["looked_at"], found["second_approver"], found["more"], found["fewer"]) == (4, 2, 2, 0)
    assert [each["would_need"] for each in found["submissions"]] == [2, 2, 1, 1]
    assert found["submissions"][0]["rule"] == "big" and found["submissions"][3]["rule"] == "default"
    assert admin.post("/approval-policy/replay", body | {"last": 1}).get_json()["looked_at"] == 1
    own = admin.post(f"/projects/{world.a.prj}/approval-policy/replay", body).get_json()
    assert own["second_approver"] == 2
    assert admin.get("/approval-policy").get_json()["version"] == 0
    assert world.client(world.b, Role.ADMIN).post("/approval-policy/replay", body).get_json()["looked_at"] == 0


def test_u8_outside_approvers_are_listed_by_administrators(world, admin, manager):
    body = {"email": "Client@Northwind.example", "name": "Client"}
    assert codes(manager.post("/outside-approvers", body)) == (403, "lacks_right")
    made = admin.post("/outside-approvers", body)
    assert (made.status_code, made.get_json()["email"]) == (201, "client@northwind.example")
    assert made.get_json()["confirmed_at"] is None
    assert codes(admin.post("/outside-approvers", body)) == (409, "address_listed")
    outside = made.get_json()["outside_id"]
    put(admin, rule("client", stages=[{"needed": 1, "outside": [outside]}]))
    asked = Asked(world, submit=False)
    refused = manager.post(f"{asked.url}/submit")
    assert codes(refused) == (422, "approval_impossible")
    assert "not confirmed" in refused.get_json()["errors"][0]["message"]
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE outside_approver SET confirmed_at = now()"))
        session.commit()
    assert manager.post(f"{asked.url}/submit").status_code == 200
    assert asked.read()["approval"]["may_decide"] == [outside]
    assert admin.delete(f"/outside-approvers/{outside}").status_code == 204
    assert admin.get("/outside-approvers").get_json() == []
    assert asked.read()["approval"]["may_decide"] == []
    assert codes(admin.delete(f"/outside-approvers/{outside}")) == (404, "not_found")


def test_r13_comments_name_people_and_tell_those_who_take_part(world, admin, approver, manager):
    asked = Asked(world)
    url = f"/campaigns/{asked.campaign_id}/comments"
    viewer = world.client(world.a, Role.VIEWER)
    for client in (viewer, world.key(world.a)):
        assert codes(client.post(url, {"text": "x"})) == (403, "lacks_right")
    named = show("acc", world.a.accounts[Role.MANAGER])
    said = approver.post(url, {"text": " Is the price right? ", "step_no": 1, "mentions": [named]})
    assert said.status_code == 201, said.text
    assert (said.get_json()["text"], said.get_json()["step_no"]) == ("Is the price right?", 1)
    assert codes(approver.post(url, {"text": "x", "step_no": 7})) == (422, "invalid")
    stranger = show("acc", world.b.accounts[Role.MANAGER])
    assert codes(approver.post(url, {"text": "x", "mentions": [stranger]})) == (422, "not_a_member")
    assert approver.post(url, {"text": "  "}).status_code == 422
    (found,) = viewer.get(url).get_json()
    assert (found["name"], found["mentions"]) == ("Approver North", [named])
    with bound(world.engine, world.a) as session:
        told = session.execute(sa.text("SELECT kind, account_id FROM notice WHERE kind IN ('mentioned', 'commented')"))
        kinds = {(row.kind, row.account_id) for row in told}
    assert kinds == {
        ("mentioned", world.a.accounts[Role.MANAGER]), ("commented", world.a.accounts[Role.ADMIN]),
    }  # fmt: skip


def test_those_who_are_asked_and_those_who_asked_are_told(world, admin, approver):
    asked = Asked(world, note="Before noon, please.")
    with bound(world.engine, world.a) as session:
        rows = session.execute(sa.text("SELECT account_id, text FROM notice WHERE kind = 'approval_requested'")).all()
    assert {row.account_id for row in rows} == {world.a.accounts[Role.ADMIN], world.a.accounts[Role.APPROVER]}
    assert all("Before noon, please." in row.text for row in rows)
    asked.decide(approver)
    with bound(world.engine, world.a) as session:
        (told,) = session.execute(sa.text("SELECT account_id FROM notice WHERE kind = 'approval_decided'")).scalars()
    assert told == world.a.accounts[Role.MANAGER]


def notices(world):
    """Who was told what in world.a: account, title, text, oldest first."""
    with bound(world.engine, world.a) as session:
        rows = session.execute(sa.text("SELECT account_id, title, text FROM notice ORDER BY notice_id")).all()
    return [tuple(row) for row in rows]


def second_project(world, admin):
    made = admin.post("/projects", {"name": "Spring"})
    assert made.status_code == 201, made.text
    return made.get_json()["project_id"]


@pytest.mark.parametrize("own", [False, True])
def test_u3_copies_go_to_nobody_who_has_no_role_where_the_rule_holds(world, admin, own):
    """Accounts of other workspaces, made-up ids, members of another project."""
    other = second_project(world, admin)
    _, elsewhere = somebody(world, Role.VIEWER, "elsewhere", project_id=parse("prj", other))
    path = f"/projects/{world.a.prj}/approval-policy" if own else "/approval-policy"
    stranger, nobody = show("acc", world.b.accounts[Role.VIEWER]), show("acc", uuid7())
    fine = show("acc", world.a.accounts[Role.VIEWER])
    for each in (stranger, nobody, elsewhere):
        refused = put(admin, rule(stages=[{}]), rule("copied", stages=[{}], copies=[fine, each]), path=path)
        assert codes(refused) == (422, "not_a_member")
        (fault,) = refused.get_json()["errors"]
        assert fault["pointer"] == "/rules/1/then/copies" and each in fault["message"]
    assert put(admin, rule(stages=[{}], copies=[fine]), path=path).status_code == 200


def test_u3_copies_are_told_in_their_own_words_and_only_while_they_may_read_the_campaign(world, admin, approver):
    other = second_project(world, admin)
    _, reader = somebody(world, Role.VIEWER, "reader")
    _, leaver = somebody(world, Role.VIEWER, "leaver")
    _, elsewhere = somebody(world, Role.VIEWER, "elsewhere", project_id=parse("prj", other))
    places = {"projects": [world.a.prj, other]}
    both = show("acc", world.a.accounts[Role.APPROVER])
    put(admin, rule("told", when=places, stages=[{}], copies=[reader, leaver, elsewhere, both]))
    admin.delete(f"/members/{leaver}")
    asked = Asked(world, note="Before noon, please.")
    first = notices(world)
    (fyi,) = [each for each in first if each[0] == parse("acc", reader)]
    assert fyi[1] == "For your information: Black week"
    assert "Before noon, please." in fyi[2] and "asked for nothing" in fyi[2] and "your" not in fyi[2].lower()
    asks = {row[0] for row in first if row[1] == "Your approval is wanted: Black week"}
    assert asks == {world.a.accounts[Role.ADMIN], world.a.accounts[Role.APPROVER]}
    assert len(first) == 3
    asked.decide(approver)
    told = notices(world)[3:]
    assert {(row[0], row[1]) for row in told} == {
        (world.a.accounts[Role.MANAGER], "Decided: Black week"),
        (parse("acc", reader), "For your information: Black week"),
    }


def test_r14_the_page_names_nobody_of_another_workspace(world, admin):
    """Also where a rule that names them was written before it was refused."""
    stranger = show("acc", world.b.accounts[Role.VIEWER])
    put(admin, rule(stages=[{}], copies=[show("acc", world.a.accounts[Role.VIEWER])]))
    with bound(world.engine, world.a) as session:
        found = session.scalars(sa.select(ApprovalPolicy)).one()
        found.rules[0]["then"]["copies"].append(stranger)
        row = {name: getattr(found, name) for name in ("tenant_id", "project_id", "rules", "made_by", "made_at")}
        session.execute(sa.insert(ApprovalPolicy).values(**row, policy_id=uuid7(), version=2))
        session.commit()
    text = admin.http.get(f"/w/{world.a.wsp}/settings/policies").text
    assert "copy to Viewer North or somebody without a role here" in text
    assert "Viewer South" not in text and stranger not in text


def together(*calls):
    gate, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def run(index, call):
        gate.wait(timeout=60)
        answers[index] = call()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return answers


@pytest.mark.parametrize("attempt", range(5))
def test_race_two_approvers_at_once_are_both_counted_and_it_is_published_once(world, admin, approver, attempt):
    put(admin, rule())
    asked = Asked(world)
    answers = together(lambda: asked.decide(approver), lambda: asked.decide(admin))
    assert sorted(answer.status_code for answer in answers) == [200, 200]
    assert sorted(answer.get_json()["state"] for answer in answers) == ["in_review", "published"]
    with bound(world.engine, world.a) as session:
        published = session.scalar(sa.text("SELECT count(*) FROM audit_entry WHERE action = 'revision.published'"))
        counted = session.scalar(sa.text("SELECT cardinality(counted) FROM approval_request WHERE state = 'approved'"))
        votes = session.scalar(sa.text("SELECT count(*) FROM approval"))
    assert (published, counted, votes) == (1, 2, 2)


def test_race_the_same_person_twice_counts_once(world, admin, approver):
    put(admin, rule())
    asked = Asked(world)
    answers = together(lambda: asked.decide(approver), lambda: asked.decide(approver))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert asked.read()["approval"]["signed"] == 1


def test_race_two_administrators_write_the_policy(world, admin):
    other, _ = somebody(world, Role.ADMIN, "other")
    answers = together(lambda: put(admin, rule("a"), version=0), lambda: put(other, rule("b"), version=0))
    assert sorted(answer.status_code for answer in answers) == [200, 412]


def test_a_deadline_stands_with_the_request(world, admin):
    put(admin, rule(stages=[{"needed": 1}], deadline={"hours": 1, "of": "after_request"}))
    found = Asked(world).found["approval"]
    from datetime import datetime

    asked_at, deadline = (datetime.fromisoformat(found[name]) for name in ("asked_at", "deadline"))
    assert deadline - asked_at == timedelta(hours=1)
