"""What the isolation matrix needs to know of each part of the API. Whoever adds a route adds its lines here.

FACTORIES: for the name of a URL parameter, a function that makes (or finds) a thing in a place and returns its public
form. Called once for each place and kept (`thing`). The thing's words should hold `CANARY`, which no stranger may ever read.

BODIES: for the endpoint of a route that takes a body, a body that passes its schema, so that a stranger's request gets
as far as looking for the thing. A function is given the world and the place whose ids it may mention.

QUERIES: the same for the query of a route.

PREFIXES, and IN_PROJECT, IN_WORKSPACE or IN_NONE: how an id of nothing looks, and where the thing belongs.

EXEMPT and PUBLIC: endpoints that are open to the world by nature, each with its reason; they are counted and named.

ABSENT: endpoints that rightly answer 404 to their own people in the state in which FACTORIES leave things.

BY_PEOPLE: endpoints that a key cannot use though it can have their right, each with its reason.

NOT_TWICE: endpoints that answer the same request otherwise the second time, each with its reason.

UNAUDITED: endpoints that change something and leave no audit entry, each with its reason.

One entry a line, so that two who add one at the same time do not meet.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from saas.accounts.service import people
from saas.audit import service as audit
from saas.campaigns.models import Revision
from saas.campaigns.rules.document import canonical, hash_of
from saas.journeys.models import CallFile
from saas.journeys.service.call_files import NOTHING_YET
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, show, uuid7
from saas.ledger.models import Gate
from saas.notices.service.inform import inform
from saas.notices.types import NoticeKind
from saas.permissions.types import CAMPAIGN_ROLES, Role
from saas.tenants.service import access, members
from tests.worlds import Place, World, bound

CANARY = "canary-7f3b"

Factory = Callable[[World, Place], str]
Body = Callable[[World, Place], Any]

# Roles of a workspace, with a person in each (tests/worlds.py), in the order in which the right one is looked for.
ROLES: tuple[Role, ...] = (*CAMPAIGN_ROLES, Role.AGENCY_OWNER, Role.AGENCY_ADMIN, Role.AGENCY_MEMBER)
# Roles that take no part in the matrix, each with its reason.
NO_PLACE: dict[Role, str] = {}

EXEMPT: Final[dict[str, str]] = {
    "static": "files of the build, the same for everybody",
    "api-docs.openapi_json": "the API's description",
    "metrics": "counts of the installation, behind a token of the operator",
}


def _made(world: World, place: Place, path: str, body: Any, key: str) -> str:
    answer = world.stand_in(place, Role.ADMIN).post(path, body)
    assert answer.status_code in {200, 201}, answer.text
    found = answer.get_json()
    return (found["data"][0] if "data" in found else found)[key]


def _account(world: World, place: Place) -> str:
    now, email = SystemClock().now(), f"{CANARY}.{uuid7().hex}@northwind.example"
    with bound(world.engine, place) as session:
        person = people.ensure_account(session, email=email, name=CANARY, now=now)
        boss, account_id = place.actor(Role.ADMIN), person.account_id
        members.grant(session, actor=boss, account_id=account_id, role=Role.VIEWER, project_id=None, now=now)
        session.commit()
        return show("acc", account_id)


def _invitation(world: World, place: Place) -> str:
    line = {"email": f"{CANARY}.{uuid7().hex}@northwind.example", "name": CANARY, "role": "viewer"}
    return _made(world, place, "/invitations", {"invitations": [line]}, "invitation_id")


def _key(world: World, place: Place) -> str:
    body = {"name": CANARY, "role": "viewer", "scopes": ["project:read"]}
    return _made(world, place, "/api-keys", body, "key_id")


def _channel(world: World, place: Place) -> str:
    body = {
        "name": f"{CANARY} {uuid7().hex}", "purpose": "marketing", "from_name": CANARY, "from_address": f"{CANARY}@northwind.example",
        "host": "smtp.example.com", "port": 587, "security": "starttls", "username": CANARY, "password": CANARY,
    }  # fmt: skip
    return _made(world, place, "/channels", body, "channel_id")


def _hook(world: World, place: Place) -> str:
    body = {
        "name": f"{CANARY} {uuid7().hex}", "purpose": "marketing", "url": f"https://hooks.northwind.example/{CANARY}",
    }  # fmt: skip
    return _made(world, place, "/webhook-channels", body, "channel_id")


def _list(world: World, place: Place) -> str:
    body = {"name": f"{CANARY} {uuid7().hex}", "project_id": place.prj, "description": CANARY}
    return _made(world, place, "/lists", body, "list_id")


def _contact(world: World, place: Place) -> str:
    body = {"contacts": [{"email": f"{CANARY}.{uuid7().hex}@northwind.example"}]}
    answer = world.stand_in(place, Role.ADMIN).post("/contacts:batch", body)
    assert answer.status_code == 200, answer.text
    return str(answer.get_json()["results"][0]["contact_id"])


def _import(world: World, place: Place) -> str:
    answer = world.stand_in(place, Role.ADMIN).call(
        "POST",
        f"/imports?list_id={_list(world, place)}&file_name={CANARY}.csv",
        data=f"email\n{CANARY}@northwind.example\n".encode(),
        headers={"Content-Type": "text/csv"},
    )
    assert answer.status_code == 202, answer.text
    return str(answer.get_json()["import_id"])


def _audience(world: World, place: Place) -> str:
    body = {
        "name": f"{CANARY} {uuid7().hex}", "project_id": place.prj, "list_id": _list(world, place),
        "visibility": "public", "rule": {"all": []},
    }  # fmt: skip
    return _made(world, place, "/audiences", body, "audience_id")


def _campaign(world: World, place: Place) -> str:
    body = {
        "name": f"{CANARY} {uuid7().hex}", "project_id": place.prj, "kind": "dated", "purpose": "marketing",
        "description": CANARY,
    }  # fmt: skip
    return _made(world, place, "/campaigns", body, "campaign_id")


def _gate(world: World, place: Place) -> str:
    """A gate of a campaign that was signed once; nobody waits at it."""
    now, campaign_id, gate_id = SystemClock().now(), parse("cam", _campaign(world, place)), uuid7()
    step = {"step_no": 1, "kind": "gate", "name": CANARY, "at": None, "channel_id": str(uuid7())}
    document = canonical(
        {
            "format": 2,
            "kind": "api",
            "purpose": "marketing",
            "topic": None,
            "audience": None,
            "payload": [],
            "workspace": {"name": CANARY},
            "time_zone": "UTC",
            "start": [1],
            "steps": [step],
        }
    )
    with bound(world.engine, place) as session:
        session.add(
            Revision(
                tenant_id=place.tenant_id,
                campaign_id=campaign_id,
                no=99,
                state="superseded",
                draft={},
                version=1,
                document=document,
                content_hash=hash_of(document),
                created_at=now,
                updated_at=now,
            )
        )
        session.add(
            Gate(
                tenant_id=place.tenant_id,
                gate_id=gate_id,
                campaign_id=campaign_id,
                step_no=1,
                revision_no=99,
                state="open",
                opened_at=now,
                deadline_at=now + timedelta(days=9),
            )
        )
        session.commit()
    return show("gat", gate_id)


def _call_file(world: World, place: Place) -> str:
    """A file of calls that is answered: files are taken by active campaigns only, and those of the matrix are drafts."""
    now, campaign_id = SystemClock().now(), parse("cam", thing(world, place, "campaign_id"))
    with bound(world.engine, place) as session:
        row = CallFile(
            tenant_id=place.tenant_id, call_file_id=uuid7(), campaign_id=campaign_id, file_name=f"{CANARY}.jsonl", state="done",
            size_bytes=1, done_bytes=1, position=1, counts=dict(NOTHING_YET), created_at=now, finished_at=now,
        )  # fmt: skip
        session.add(row)
        session.commit()
        return show("clf", row.call_file_id)


def _category(world: World, place: Place) -> str:
    return _made(world, place, "/categories", {"name": f"{CANARY} {uuid7().hex}"}, "category_id")


def _template(world: World, place: Place) -> str:
    body = {"name": f"{CANARY} {uuid7().hex}", "description": CANARY}
    campaign_id = thing(world, place, "campaign_id")
    return _made(world, place, f"/campaigns/{campaign_id}/save-as-template", body, "template_id")


def _template_file(world: World, place: Place) -> Any:
    """A file that names the place's things by their ids and by words that nothing is called."""
    named = {"list_id": thing(world, place, "list_id")}
    step = {"step_no": 1, "channel_id": thing(world, place, "channel_id")}
    return {
        "format": 1, "name": "x", "kind": "dated", "purpose": "marketing", "draft": {"audience": named, "steps": [step]},
        "references": [{"id": named["list_id"], "name": "x"}, {"id": step["channel_id"], "name": "x"}],
    }  # fmt: skip


def _notice(world: World, place: Place) -> str:
    with bound(world.engine, place) as session:
        inform(
            session, kind=NoticeKind.MENTIONED, to=[place.accounts[Role.ADMIN]], subject=show("cam", uuid7()),
            title=CANARY, text=CANARY, path=f"/w/{place.wsp}/", now=SystemClock().now(),
        )  # fmt: skip
        session.commit()
    return str(world.stand_in(place, Role.ADMIN).get("/notices").get_json()["data"][0]["notice_id"])


def _subscriber(world: World, place: Place) -> str:
    actor, now = place.actor(Role.ADMIN), SystemClock().now()
    with bound(world.engine, place) as session:
        row = audit.list_address(
            session, actor=actor, email=f"{CANARY}.{uuid7().hex}@client.example", zone="Europe/Oslo", now=now
        )
        session.commit()
        return show("sub", row.subscriber_id)


def _request(world: World, place: Place) -> str:
    """A request of somebody new: granting it changes nobody who takes part."""
    asker = parse("acc", _account(world, place))
    viewer = replace(place.actor(Role.VIEWER), account_id=asker, name=CANARY)
    with bound(world.engine, place) as session:
        row = access.ask(
            session, actor=viewer, role=Role.MANAGER, project_id=place.project_id, action=None, note=CANARY,
            now=SystemClock().now(),
        )  # fmt: skip
        session.commit()
        return show("arq", row.request_id)


def _session(world: World, place: Place) -> str:
    return str(world.client(place, Role.ADMIN).get("/sessions").get_json()["data"][0]["session_id"])


def _decision(*_: object) -> Any:
    return {"content_hash": "v1:" + "0" * 64, "comment": "x"}


def _outside(world: World, place: Place) -> str:
    body = {"email": f"{CANARY}.{uuid7().hex}@northwind.example", "name": CANARY}
    return _made(world, place, "/outside-approvers", body, "outside_id")


_RULE: Final = {"name": "x", "then": {"stages": [{"needed": 1}]}}

FACTORIES: dict[str, Factory] = {
    "workspace": lambda _, place: place.wsp,
    "project_id": lambda _, place: place.prj,
    "account_id": _account,
    "invitation_id": _invitation,
    "key_id": _key,
    "channel_id": _channel,
    "hook_id": _hook,
    "list_id": _list,
    "contact_id": _contact,
    "import_id": _import,
    "audience_id": _audience,
    "campaign_id": _campaign,
    "call_file_id": _call_file,
    "category_id": _category,
    "gate_id": _gate,
    "template_id": _template,
    "outside_id": _outside,
    "notice_id": _notice,
    "session_id": _session,
    "subscriber_id": _subscriber,
    "request_id": _request,
    "agency_id": lambda world, _: show("agn", world.agency_id),
    "workspace_id": lambda _, place: place.wsp,
    "no": lambda *_: "1",
    "step_no": lambda *_: "1",
}

_MADE: Final[dict[tuple[str, str], str]] = {}


@contextmanager
def words_of(*, victim: bool) -> Iterator[None]:
    """Let factories write the canary into the victim's things only: strangers may read the words of their own."""
    before, globals()["CANARY"] = CANARY, "canary-7f3b" if victim else "finch-2c9e"
    try:
        yield
    finally:
        globals()["CANARY"] = before


def thing(world: World, place: Place, parameter: str) -> str:
    """Return the place's thing for a URL parameter, made once. Raises KeyError for a parameter that nobody entered."""
    at = (parameter, place.wsp)
    if at not in _MADE:
        _MADE[at] = FACTORIES[parameter](world, place)
    return _MADE[at]


# What an id of nothing looks like, by parameter; parameters that are no ids (numbers of a thing above) keep their value.
PREFIXES: dict[str, str] = {
    "workspace": "wsp",
    "project_id": "prj",
    "account_id": "acc",
    "invitation_id": "inv",
    "key_id": "key",
    "channel_id": "chn",
    "hook_id": "chn",
    "list_id": "lst",
    "contact_id": "ctc",
    "import_id": "imp",
    "audience_id": "aud",
    "campaign_id": "cam",
    "call_file_id": "clf",
    "category_id": "cat",
    "gate_id": "gat",
    "template_id": "cpt",
    "subscriber_id": "sub",
    "outside_id": "out",
    "notice_id": "ntc",
    "session_id": "ses",
    "request_id": "arq",
    "agency_id": "agn",
    "workspace_id": "wsp",
}

# Things of one project: who works in another project only does not know them.
IN_PROJECT: set[str] = {
    "project_id",
    "list_id",
    "import_id",
    "audience_id",
    "campaign_id",
    "gate_id",
    "call_file_id",
}

# Things of the whole workspace.
IN_WORKSPACE: set[str] = {
    "account_id",
    "invitation_id",
    "key_id",
    "channel_id",
    "hook_id",
    "contact_id",
    "subscriber_id",
    "outside_id",
    "notice_id",
    "request_id",
    "category_id",
    "template_id",
}

# Things that no workspace holds: agencies with their workspaces, and a person's own sessions.
IN_NONE: set[str] = {
    "agency_id",
    "workspace_id",
    "session_id",
}

PUBLIC: dict[str, str] = {
    "accounts.sign_in": "signing in: nobody is known before",
    "agencies.accept_staff_invitation": "an invitation's link: its token names agency and address",
    "audit.key": "the public key that signs exports of audit logs",
    "gate_links.decide": "an address that a gate's webhook was given: its token names workspace, gate and what may be done",
    "gate_links.finish": "an address that a gate's webhook was given: its token names workspace, gate and what may be done",
    "gate_links.get_people": "an address that a gate's webhook was given: its token names workspace, gate and what may be done",
    "intake.ask": "the unsubscribe link of a message: its token names workspace and person",
    "intake.follow": "a tracked link of a message: its token names workspace and person",
    "intake.open_image": "the image of a message: its token names workspace and person, and all get the same",
    "intake.leave": "RFC 8058, and the page's button: the link's token names workspace and person",
    "own.ask_reset": "who forgot the password is not signed in; the answer is the same for every address",
    "own.confirm_email": "the link mailed to a new address: its token names the account",
    "own.use_reset": "the link of a reset: its token names the account",
    "people.accept_invitation": "an invitation's link: its token names workspace and address",
    "web.accept_invitation": "an invitation's link: its token names workspace and address",
    "web.home": "leads to the sign-in or to the last workspace",
    "web.invitation": "an invitation's link: its token names workspace and address",
    "web.second_step": "the second step of signing in: the cookie of the first one names the account",
    "web.second_step_now": "the second step of signing in: the cookie of the first one names the account",
    "web.sign_in": "signing in: nobody is known before",
    "web.sign_in_now": "signing in: nobody is known before",
    "web.theme": "light or dark, kept in the browser's cookie",
    "web_brand.logo": "a client's logo on public pages and in mails",
    "web_brand.style": "a client's colours on public pages",
    "web_developers.api_docs": "the API's description, for people",
    "web_docs.errors": "what each code of a problem document means, where its type leads",
    "web_link.decide": "the link of an approver without an account: its token names request, hash and address",
    "web_link.look": "the link of an approver without an account: its token names request, hash and address",
    "web_link.open_by_code": "the link of an approver without an account: its token names request, hash and address",
    "web_link.preview": "the link of an approver without an account: its token names request, hash and address",
    "web_links.ask_reset": "who forgot the password is not signed in",
    "web_links.ask_reset_now": "who forgot the password is not signed in; the answer is the same for every address",
    "web_links.email_change": "the link mailed to a new address: its token names the account",
    "web_links.email_change_now": "the link mailed to a new address: its token names the account",
    "web_links.reset": "the link of a reset: its token names the account",
    "web_links.reset_now": "the link of a reset: its token names the account",
    "web_staff_invitation.accept": "an invitation's link: its token names agency and address",
    "web_staff_invitation.invitation": "an invitation's link: its token names agency and address",
}

ABSENT: dict[str, str] = {
    "approval_links.resend_link": "nobody was asked by mail",
    "web_review.resend_link": "nobody was asked by mail",
    "audiences.download_errors": "nothing was wrong with the file",
    "trigger.download_call_errors": "every line was accepted",
    "web_calls.file_errors": "every line was accepted",
    "revisions.get_changes": "the revision was not submitted",
    "revisions.get_review": "the revision was not submitted",
    "web_audiences.create_audience": "the empty form names no list",
    "web_audiences.import_errors": "nothing was wrong with the file",
    "web_audiences.start_import": "the empty form names no list",
    "web_review.preview": "the message has no content yet",
    "web_steps.ask_remove": "the draft has no step yet",
    "web_steps.edit": "the draft has no step yet",
    "web_steps.move": "the draft has no step yet",
    "web_steps.remove": "the draft has no step yet",
    "web_steps.save": "the draft has no step yet",
}

# Routes whose right a key can have, and that it can do nothing with.
BY_PEOPLE: dict[str, str] = {
    "notices.read_notice": "a notice is one person's, and a key is none",
    "web_notices.open_one": "a notice is one person's, and a key is none",
    "web_notices.read_one": "a notice is one person's, and a key is none",
    "people.ask_for_access": "a person asks for a role; a key asks for nothing",
    "revisions.publish": "who may publish depends on the revision's policy, and no key may",
    "web_review.publish": "who may publish depends on the revision's policy, and no key may",
    "web_settings.ask_access": "a person asks for a role; a key asks for nothing",
    "web_settings.list_audit_address": "needs the right to change the workspace too, which no key has",
    "web_settings.unsubscribe_audit": "ends one's own subscription, or needs the right to change the workspace",
}

# Routes that answer the same request otherwise the second time, whatever ids it names.
NOT_TWICE: dict[str, str] = {
    "people.invite": "who was invited a moment ago is invited anew, and the answer says so",
    "audit.export": "each export leaves an entry that is in the next one",
    "web_settings.export_audit": "each export leaves an entry that is in the next one",
    "web_settings.subscribe_audit": "who is subscribed hears that they are",
}

UNAUDITED: dict[str, str] = {
    "notices.read_notice": "what one person has read is their own",
    "notices.read_notices": "what one person has read is their own",
    "web_notices.open_one": "what one person has read is their own",
    "web_notices.read_all": "what one person has read is their own",
    "web_notices.read_one": "what one person has read is their own",
    "audiences.count_audience": "the last count is remembered, nothing is decided",
    "foresight.dry_run": "all of it is rolled back",
    "foresight.simulate": "all of it is rolled back",
    "foresight.start_test": "all of it is rolled back",
    "web_foresight.rehearse": "all of it is rolled back",
    "audiences.save_contacts": "people are data with records of their own, saved thousands at a time",
    "web_audiences.count_audience": "the last count is remembered, nothing is decided",
    "gates.decide": "decisions about thousands of people stand in the passages; the release is written down",
    "web_gates.decide": "as gates.decide",
    "events.record_events": "events are facts about people, told thousands at a time",
}

BODIES: dict[str, Body] = {
    "accounts.make_key": lambda _, place: {
        "name": "x", "role": "viewer", "scopes": ["project:read"], "project_id": place.prj,
    },
    "tenants.update_workspace": lambda *_: {"name": "x"},
    "tenants.create_project": lambda *_: {"name": f"x {uuid7().hex}"},
    "tenants.change_project": lambda *_: {"name": f"x {uuid7().hex}"},
    "people.change_role": lambda _, place: {"role": "viewer", "project_id": None},
    "people.invite": lambda world, place: {
        "invitations": [
            {"email": "x@northwind.example", "role": "viewer", "project_id": place.prj},
            {"account_id": thing(world, place, "account_id"), "role": "viewer", "project_id": place.prj},
        ]
    },
    "web_settings.rotate_key": lambda *_: {"overlap_hours": "24"},
    "web_agency.appoint": lambda *_: {"role": "agency_member"},
    "tenants.move_workspace": lambda *_: {"move": "restore"},  # refused: all other cells need it active
    "people.ask_for_access": lambda _, place: {"role": "manager", "project_id": place.prj},
    "people.decline_access": lambda *_: {"answer": "x"},
    "agencies.appoint_staff": lambda *_: {"role": "agency_member"},
    "agencies.invite_staff": lambda *_: {"invitations": [{"email": "x@lantern.example", "role": "agency_member"}]},
    "audiences.create_list": lambda _, place: {"name": f"x {uuid7().hex}", "project_id": place.prj},
    "audiences.change_list": lambda *_: {"name": f"x {uuid7().hex}"},
    "audiences.save_contacts": lambda world, place: {
        "contacts": [{"email": "x@northwind.example"}], "list_ids": [thing(world, place, "list_id")],
    },
    "audiences.create_audience": lambda world, place: {
        "name": f"x {uuid7().hex}", "project_id": place.prj, "list_id": thing(world, place, "list_id"),
        "rule": {"all": []},
    },
    "audiences.change_audience": lambda world, place: {"list_id": thing(world, place, "list_id")},
    "audiences.count_rule": lambda world, place: {"list_id": thing(world, place, "list_id"), "rule": {"all": []}},
    "campaigns.create_campaign": lambda _, place: {
        "name": f"x {uuid7().hex}", "project_id": place.prj, "kind": "dated", "purpose": "marketing",
    },
    "categories.create_category": lambda *_: {"name": f"x {uuid7().hex}"},
    "categories.patch_category": lambda *_: {"name": f"x {uuid7().hex}"},
    "templates.save_as_template": lambda *_: {"name": "x"},
    "templates.patch_template": lambda *_: {"name": "x"},
    "templates.import_template": _template_file,
    "channels.change": lambda *_: {"name": "x"},
    "channels.create_hook": lambda *_: {
        "name": f"x {uuid7().hex}", "purpose": "marketing", "url": "https://hooks.northwind.example/in",
    },
    "channels.change_hook": lambda *_: {"name": f"x {uuid7().hex}"},
    "channels.make_dkim": lambda *_: {"domain": "northwind.example", "selector": f"s{uuid7().hex}", "algorithm": "ed25519"},
    "channels.send_trial": lambda _, place: {"to": place.emails[Role.ADMIN]},
    "campaigns.patch_campaign": lambda *_: {"name": "x"},
    "campaigns.switch_start": lambda *_: {"kind": "dated"},  # as it is: others look at this campaign too
    "revisions.save_draft": lambda *_: {"draft": {}},
    **{f"revisions.{name}": _decision for name in ("approve", "publish", "request_changes", "reject", "revoke", "confirm")},
    **{f"policies.{name}": lambda *_: {"rules": [_RULE]} for name in ("put_policy", "put_project_policy", "replay_policy",
        "replay_project_policy")},
    "web_settings.set_code_word": lambda *_: {"code_word": "blue kettle 9"},
    "policies.set_code_word": lambda *_: {"code_word": "blue kettle 9"},
    "policies.add_outside": lambda *_: {"email": f"x{uuid7().hex}@northwind.example", "name": "x"},
    "comments.add_comment": lambda *_: {"text": "x"},
    "events.record_events": lambda world, place: {
        "events": [{"name": "x", "contact_id": thing(world, place, "contact_id"), "id": "x"}]
    },
    "gates.decide": lambda world, place: {
        "decisions": [{"contact_id": thing(world, place, "contact_id"), "decision": "accepted"}]
    },
    "foresight.simulate": lambda world, place: {
        "people": [{"name": "x", "contact_id": thing(world, place, "contact_id")}],
    },
    "trigger.trigger": lambda world, place: {"recipients": [{"contact_id": thing(world, place, "contact_id")}]},
}  # fmt: skip

QUERIES: dict[str, Callable[[World, Place], Mapping[str, str]]] = {
    "audiences.start_import": lambda world, place: {"list_id": thing(world, place, "list_id")},
    "audiences.list_lists": lambda _, place: {"project_id": place.prj},
    "audiences.list_contacts": lambda world, place: {"list_id": thing(world, place, "list_id")},
    "audiences.list_audiences": lambda _, place: {"project_id": place.prj},
    "campaigns.list_campaigns": lambda _, place: {"project_id": place.prj},
}
