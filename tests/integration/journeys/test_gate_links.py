"""The addresses that a gate's webhook is given (R6): each opens one thing at one gate, without a key, for a time."""

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from saas.audit.models import AuditEntry
from saas.content.rules import tokens
from saas.content.types import Purpose
from saas.journeys.rules.handed import LENGTH, Handed, make
from saas.kernel.ids import show, uuid7
from saas.ledger.models import Contact, Gate, Wait
from saas.permissions.types import WorkspaceState
from saas.tenants.models import Tenant
from tests.integration.journeys import test_outside_systems as outside

pytestmark = pytest.mark.integration

hook, room, webhook = outside.hook, outside.room, outside.webhook
ADDRESSES = ("messages_url", "decisions_url", "finish_url")


class Shop:
    """The other system: it knows what its webhook was told, and has no key."""

    def __init__(self, flow, told):
        self.flow, self.told, self.http = flow, told, flow.world.app.test_client()

    def url(self, name):
        public = self.flow.world.app.extensions["countersign"].settings.public_url
        assert self.told[name].startswith(f"{public}/api/v1/gate-links/")
        return self.told[name].removeprefix(public)

    def token(self, name):
        return self.url(name).split("/")[-2]

    def ask(self, name, minutes=1, *, token=None, decisions=None):
        """Use an address so many minutes after the gate opened; with another token in it, if one is given."""
        url = self.url(name) if token is None else self.url(name).replace(self.token(name), token)
        with self.flow.clocked(minutes):
            if name == "messages_url":
                answer = self.http.get(url)
                answer.get_data()
            else:
                body = {"decisions": decisions or self.some()} if name == "decisions_url" else {}
                answer = self.http.post(url, json=body)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Set-Cookie" not in answer.headers
        return answer

    def some(self):
        return [{"contact_id": show("ctc", uuid7()), "decision": "accepted"}]

    def people(self, minutes=1):
        answer = self.ask("messages_url", minutes)
        assert (answer.status_code, answer.mimetype) == (200, "application/x-ndjson")
        return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
def shop(flow, hook, webhook):
    """A gate of an hour at which three people wait, and whoever was told of it."""
    flow.people(3)
    steps = [outside.gate(flow, webhook, 0), outside.lettered(flow, 2, 0), flow.message(3, 0), flow.message(4, 0)]
    flow.publish(*steps).run(0)
    (post,) = hook.posts
    return Shop(flow, json.loads(post.body))


def refusal(answer):
    """What a refusal says, without what differs between any two requests."""
    body = answer.get_json()
    return answer.status_code, {name: body[name] for name in body if name not in {"instance", "request_id"}}


def released_entries(flow):
    with flow.session() as session:
        rows = session.execute(
            sa.select(AuditEntry.actor_kind, AuditEntry.action).where(
                AuditEntry.tenant_id == flow.tenant_id, AuditEntry.action.startswith("gate.")
            )
        )
        return [tuple(row) for row in rows]


def test_r6_people_are_read_decided_about_and_released_without_a_key(flow, shop):
    assert set(shop.told) == set(outside.SAID[0]), "docs/gates.md"
    people = shop.people()
    assert sorted(each["email"] for each in people) == sorted(flow.addresses)
    assert set(people[0]) == set(outside.SAID[1]), "docs/gates.md"
    with flow.clocked(1):
        by_key = flow.world.key(flow.place).get(f"/gates/{shop.told['gate_id']}/messages")
    assert [json.loads(line) for line in by_key.text.splitlines()] == people
    ids, (a, b, c) = {each["email"]: each["contact_id"] for each in people}, flow.addresses
    words = [
        {"contact_id": ids[a], "decision": "accepted", "fields": {"offer": "Ten off"}},
        {"contact_id": ids[b], "decision": "rejected"},
    ]
    answer = shop.ask("decisions_url", 2, decisions=[*words, *shop.some()])
    assert (answer.status_code, answer.get_json()) == (200, {"decided": 2, "unknown": 1})
    first, again = shop.ask("finish_url", 3), shop.ask("finish_url", 3)
    assert (first.status_code, first.get_json()["state"]) == (200, "released")
    assert again.get_json() == first.get_json()
    assert released_entries(flow) == [("system", "gate.released_by_link")]
    flow.run(4).run(5)
    assert (flow.sent(2), flow.sent(3), flow.sent(4)) == (sorted([a, c]), [b], [])
    assert [m.rcpt for m in flow.sink.messages if b"Ten off" in m.data] == [a]
    late = shop.ask("decisions_url", 6, decisions=words)
    assert (late.status_code, late.get_json()["code"]) == (409, "gate_closed")
    assert shop.people(6) == []


def test_r6_the_last_word_about_somebody_counts_in_one_request_as_well(flow, shop):
    ids = {each["email"]: each["contact_id"] for each in shop.people()}
    a, b, c = flow.addresses
    words = [(a, "rejected"), (b, "accepted"), (a, "accepted"), (c, "rejected"), (b, "rejected")]
    said = [{"contact_id": ids[email], "decision": word} for email, word in words]
    answer = shop.ask("decisions_url", 2, decisions=[*said, *shop.some()])
    assert answer.get_json() == {"decided": 3, "unknown": 1}
    assert {each["email"]: each["decision"] for each in shop.people(3)} == {a: "accepted", b: "rejected", c: "rejected"}


def test_r6_no_refusal_repeats_the_token(flow, shop):
    """docs/gates.md: whoever has an address can use it, and what is refused ends up in logs."""
    answers = [
        shop.ask("decisions_url", decisions=[{"contact_id": "nobody", "decision": "accepted"}]),
        shop.ask("finish_url", 90),
        shop.http.get(shop.url("messages_url") + "x"),
        shop.http.put(shop.url("messages_url")),
        shop.http.get(shop.url("messages_url").removesuffix("/messages")),
    ]
    assert [answer.status_code for answer in answers] == [422, 404, 404, 405, 404]
    for answer in answers:
        assert answer.get_json()["instance"].startswith("/api/v1/gate-links/***"), answer.text
        assert not any(shop.token(name) in answer.text for name in ADDRESSES)


def test_r6_a_word_that_cannot_be_taken_is_refused_with_its_place(flow, shop):
    contact = shop.people()[0]["contact_id"]
    words = [{"contact_id": contact, "decision": "accepted", "fields": {"subject": "x"}}]
    answer = shop.ask("decisions_url", decisions=words)
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "/decisions/0/fields/subject"
    assert [each["decision"] for each in shop.people()] == [None] * 3


def test_r6_the_addresses_end_with_the_deadline(flow, shop):
    assert shop.ask("decisions_url", 59.9).status_code == 200
    forged = refusal(shop.ask("messages_url", 59, token="A" * LENGTH))
    assert (forged[0], forged[1]["code"]) == (404, "gate_link_gone")
    for name in ("messages_url", "decisions_url"):
        assert refusal(shop.ask(name, 60)) == forged
    unreleased = shop.ask("finish_url", 60)
    assert (unreleased.status_code, unreleased.get_json()["code"]) == (409, "gate_closed")
    assert refusal(shop.ask("finish_url", 65)) == forged
    assert outside.gate_of(flow).state == "open" and released_entries(flow) == []


def test_r6_a_release_whose_answer_was_lost_can_be_asked_for_again(shop):
    first = shop.ask("finish_url", 59)
    again = shop.ask("finish_url", 64)
    assert (again.status_code, again.get_json()) == (200, first.get_json())
    assert shop.ask("finish_url", 65).status_code == 404


def test_r6_no_other_token_opens_anything(flow, shop):
    """Forged, of another thing to do, of another gate, of another workspace: one answer, and nothing is changed."""
    vault = flow.world.app.extensions["countersign"].vault
    gate = outside.gate_of(flow)
    purposes = dict(zip(ADDRESSES, (Purpose.GATE_PEOPLE, Purpose.GATE_DECIDE, Purpose.GATE_FINISH), strict=True))
    gone = refusal(shop.ask("messages_url", token="A" * LENGTH))
    for name, purpose in purposes.items():
        own = shop.token(name)
        raw = tokens.unspell(own, length=LENGTH)
        assert own == make(vault.link_key, Handed(flow.tenant_id, gate.gate_id), purpose=purpose)
        elsewhere = Handed(flow.world.b.tenant_id, gate.gate_id)
        others = [
            own[:-1] + ("A" if own[-1] != "A" else "Q"),
            own[:40] + ("A" if own[40] != "A" else "B") + own[41:],
            own[:-1], own + "A", own.upper(), "preview", flow.place.key,
            *(shop.token(other) for other in ADDRESSES if other != name),
            tokens.spell(raw[:17] + uuid7().bytes + raw[33:]),
            tokens.spell(raw[:1] + flow.world.b.tenant_id.bytes + raw[17:]),
            make(vault.link_key, Handed(flow.tenant_id, uuid7()), purpose=purpose),
            make(vault.link_key, elsewhere, purpose=purpose),
            make(b"n" * 32, Handed(flow.tenant_id, gate.gate_id), purpose=purpose),
        ]  # fmt: skip
        for other in others:
            assert refusal(shop.ask(name, token=other)) == gone, (name, other)
    assert outside.gate_of(flow).state == "open" and released_entries(flow) == []
    assert {row.answer for row in flow.rows(Wait)} == {None}


def test_r6_each_of_two_gates_has_addresses_of_its_own(flow, hook, webhook, shop):
    """Two gates of one step in one workspace: what is said at one is about its own people only."""
    first = outside.gate_of(flow)
    with flow.session() as session:
        values = {column.name: getattr(first, column.name) for column in sa.inspect(Gate).columns}
        session.add(Gate(**{**values, "gate_id": uuid7()}))
        session.commit()
    (second,) = flow.rows(Gate, Gate.gate_id != first.gate_id)
    vault, named = flow.world.app.extensions["countersign"].vault, Handed(flow.tenant_id, second.gate_id)
    contacts = [show("ctc", row.contact_id) for row in flow.rows(Contact)]
    words = [{"contact_id": each, "decision": "rejected"} for each in contacts]
    answer = shop.ask("decisions_url", token=make(vault.link_key, named, purpose=Purpose.GATE_DECIDE), decisions=words)
    assert answer.get_json() == {"decided": 0, "unknown": 3}
    assert shop.ask("messages_url", token=make(vault.link_key, named, purpose=Purpose.GATE_PEOPLE)).text == ""
    shop.ask("finish_url", token=make(vault.link_key, named, purpose=Purpose.GATE_FINISH))
    assert {row.gate_id: row.state for row in flow.rows(Gate)} == {
        first.gate_id: "open",
        second.gate_id: "released",
    }
    assert len(shop.people()) == 3


def test_r6_a_workspace_at_rest_hands_out_nobody(flow, shop):
    with flow.session() as session:
        session.get_one(Tenant, flow.tenant_id).state = WorkspaceState.SUSPENDED.value
        session.commit()
    answers = [shop.ask(name) for name in ADDRESSES]
    assert [(a.status_code, a.get_json()["code"]) for a in answers] == [(409, "workspace_at_rest")] * 3
    assert outside.gate_of(flow).state == "open" and "@" not in answers[0].text


def test_r6_who_tries_addresses_is_limited_and_in_nobodys_way(flow, shop, monkeypatch):
    running = flow.world.app.extensions["countersign"]
    monkeypatch.setattr(running, "settings", replace(running.settings, rate_limit_per_minute=5))
    tried = [shop.ask("messages_url", token=chr(65 + no) * LENGTH).status_code for no in range(20)]
    assert tried[0] == 404 and tried[-1] == 429
    asked = [shop.ask("messages_url").status_code for _ in range(20)]
    assert asked[0] == 200 and asked[-1] == 429
    assert shop.ask("decisions_url").status_code == 200
