"""What approvers see (R13, R14, U1, U15): right numbers, people who differ, masked where it must be, and the very text."""

from email import message_from_bytes, policy

import pytest
import sqlalchemy as sa

from saas.content.rules.tokens import make, subkey
from saas.content.types import Purpose
from saas.kernel.ids import parse
from saas.permissions.types import Role
from tests import scenes
from tests.engine_room import engine_room
from tests.smtp_sink import SmtpSink
from tests.worlds import bound

pytestmark = pytest.mark.integration

HTML = (
    "<p>{% if contact.language == 'de' %}Hallo{% else %}Hello{% endif %} {{ contact.first_name | default: 'friend' }}"
    " from {{ contact.city }}, {{ contact.email }}</p>"
    '<p><a href="https://shop.northwind.example/sale">Sale</a></p><p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p>'
)
TEXT = "Hello {{ contact.first_name }}\nhttps://shop.northwind.example/sale\n{{ unsubscribe_url }}\n"


@pytest.fixture
def sink():
    with SmtpSink() as found:
        yield found


@pytest.fixture
def room(app, app_settings, sink, empty_agenda):
    with engine_room(app, app_settings, egress=(f"127.0.0.1:{sink.port}",)) as found:
        yield found


def change(world, statement, **values):
    with bound(world.engine, world.a) as session:
        session.execute(sa.text(statement), values)
        session.commit()


def submitted(world, list_id, port, *, at=None, **content):
    channel = scenes.add_channel(world, world.a, port)
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, channel, at or scenes.soon(), **{"html": HTML, "text": TEXT, **content})
    scenes.save(world, world.a, campaign_id, draft)
    return campaign_id, scenes.submit(world, world.a, campaign_id)


def reviewed(world, campaign_id, role=Role.APPROVER):
    answer = world.client(world.a, role).get(f"/campaigns/{campaign_id}/revisions/1/review")
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def test_r13_numbers_of_a_crafted_list(world):
    list_id, who = scenes.add_people(world, world.a, 10)
    change(
        world,
        "DELETE FROM consent c USING contact ct WHERE ct.contact_id = c.contact_id AND ct.email IN (:a, :b)",
        a=who[0],
        b=who[1],
    )
    change(
        world,
        "UPDATE consent c SET status = 'withdrawn' FROM contact ct WHERE ct.contact_id = c.contact_id AND ct.email = :a",
        a=who[2],
    )
    change(
        world,
        "INSERT INTO suppression SELECT tenant_id, address_hash, 'hard_bounce', now() FROM contact WHERE email IN (:a, :b)",
        a=who[3],
        b=who[1],
    )
    change(world, "UPDATE contact SET email = NULL, email_key = NULL, address_hash = NULL WHERE email = :a", a=who[4])
    change(world, "UPDATE contact SET erased_at = now() WHERE email = :a", a=who[5])
    campaign_id, content_hash = submitted(world, list_id, 25)
    found = reviewed(world, campaign_id)
    assert (found["count"], found["reachable"]) == (9, 4)  # the erased person is nobody
    assert found["drop_outs"] == {"no_consent": 1, "unsubscribed": 1, "suppressed": 2, "no_address": 1}
    assert found["count"] == found["reachable"] + sum(found["drop_outs"].values())
    assert found["content_hash"] == content_hash
    scenes.approve(world, world.a, campaign_id, found["content_hash"])


def test_r4_the_forecast_is_what_happens(world, room, sink):
    list_id, who = scenes.add_people(world, world.a, 6)
    change(
        world, "DELETE FROM consent c USING contact ct WHERE ct.contact_id = c.contact_id AND ct.email = :a", a=who[0]
    )
    change(
        world,
        "INSERT INTO suppression SELECT tenant_id, address_hash, 'complaint', now() FROM contact WHERE email = :a",
        a=who[1],
    )
    at = scenes.soon()
    campaign_id, content_hash = submitted(world, list_id, sink.port, at=at)
    found = reviewed(world, campaign_id)
    scenes.approve(world, world.a, campaign_id, content_hash)
    room.at(at).run()
    assert len(sink.messages) == found["reachable"] == 4
    with bound(world.engine, world.a) as session:
        rows = session.execute(
            sa.text("SELECT reason, count(*) AS people FROM delivery WHERE exc = 'skipped' GROUP BY 1")
        )
        skipped = {row.reason: row.people for row in rows}
    assert skipped == found["drop_outs"]


def test_u15_samples_differ_by_language_and_hold_the_poorest(world):
    list_id, who = scenes.add_people(world, world.a, 30, city="Oslo")
    for index, language in enumerate(("de", "sv", "nb")):
        change(world, "UPDATE contact SET attributes = attributes || jsonb_build_object('language', CAST(:l AS text)) WHERE email = ANY(:e)",
               l=language, e=who[index * 5 : index * 5 + 5])  # fmt: skip
    change(world, 'UPDATE contact SET attributes = \'{"language": "en"}\' WHERE email = :e', e=who[-1])
    campaign_id, _ = submitted(world, list_id, 25)
    (step,) = reviewed(world, campaign_id)["steps"]
    samples = {s["email"]: s for s in step["samples"]}
    assert {s["label"].rpartition(" · ")[2] for s in samples.values()} == {"de", "sv", "nb", "en"}
    poorest = samples[who[-1]]
    assert poorest["label"] == "No name · en"
    assert "Hello friend from ," in poorest["html"]
    assert any(s["html"].startswith("<p>Hallo Name") for s in samples.values())
    assert step["links"] == ["https://shop.northwind.example/sale"]
    assert (step["name"], step["channel"]["from_address"]) == ("Invitation", "club@news.northwind.example")


def test_r14_a_viewer_sees_nobody(world):
    list_id, _ = scenes.add_people(world, world.a, 3, tag="secretperson", city="Hammerfest", last_name="Svensson")
    for content in (
        {},
        {"subject": "{% if contact.city %}{% endif %}"},
    ):  # a message that can be made, and one that fails
        campaign_id, _ = submitted(world, list_id, 25 + len(content), **content)
        shown = reviewed(world, campaign_id, Role.VIEWER)
        text = str(shown)
        assert not any(word in text for word in ("secretperson", "Hammerfest", "Svensson", "Name secret"))
        full = reviewed(world, campaign_id, Role.MANAGER)
        assert "secretperson" in str(full)
        assert [len(s["samples"]) for s in shown["steps"]] == [len(s["samples"]) for s in full["steps"]]
        assert {k: shown[k] for k in ("count", "reachable", "content_hash")} == {
            k: full[k] for k in ("count", "reachable", "content_hash")
        }
        for sample in shown["steps"][0]["samples"]:
            assert sample["email"] == "s•••@example.org"
        change(world, "UPDATE channel_configuration SET name = name || :n", n=campaign_id)


def test_a_message_that_cannot_be_made_is_shown_as_such(world):
    list_id, who = scenes.add_people(world, world.a, 2)
    change(
        world,
        'UPDATE contact SET attributes = attributes || \'{"first_name": "=?utf-8?q?x=0D=0ABcc:_evil@example.org?=", "language": "de"}\' WHERE email = :e',
        e=who[0],
    )
    campaign_id, _ = submitted(world, list_id, 25)
    samples = {s["email"]: s for s in reviewed(world, campaign_id)["steps"][0]["samples"]}
    broken, sound = samples[who[0]], samples[who[1]]
    assert broken["failure"].startswith("subject:") and broken["html"] == broken["text"] == broken["subject"] == ""
    assert "evil" not in broken["failure"]
    assert sound["failure"] is None and sound["html"]


def test_r1_the_review_says_when_it_would_start(world):
    list_id, _ = scenes.add_people(world, world.a, 1)
    campaign_id, _ = submitted(world, list_id, 25, at=scenes.soon(5))
    found = reviewed(world, campaign_id)
    assert found["effective_if_approved_now"] == found["planned_at"]
    assert found["time_zone"] == scenes.ZONE


def test_a_campaign_on_call_shows_an_example(world):
    channel = scenes.add_channel(world, world.a, 25, purpose="transactional")
    campaign_id = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    scenes.save(world, world.a, campaign_id, scenes.api_draft(channel))
    scenes.submit(world, world.a, campaign_id)
    found = reviewed(world, campaign_id)
    assert (found["count"], found["reachable"], found["drop_outs"], found["planned_at"]) == (None, None, {}, None)
    (sample,) = found["steps"][0]["samples"]
    assert (sample["contact_id"], sample["label"]) == (None, "Example")
    assert "(reset_url)" in sample["html"]


def tokens_of(world, campaign_id, email):
    """The two tokens of one person's message: what leads through our click address, and what unsubscribes."""
    vault = world.app.extensions["countersign"].vault
    with bound(world.engine, world.a) as session:
        entry = session.scalar(
            sa.text(
                "SELECT e.entry_id FROM entry e JOIN contact c ON c.tenant_id = e.tenant_id AND c.contact_id = e.contact_id "
                "WHERE c.email = :email AND e.campaign_id = :campaign"
            ),
            {"email": email, "campaign": parse("cam", campaign_id)},
        )
    about = {"tenant_id": world.a.tenant_id, "purpose": None}
    for purpose in (Purpose.CLICK, Purpose.UNSUBSCRIBE):
        about["purpose"] = purpose
        yield make(subkey(vault.link_key, **about), **about, entry_id=entry, step_no=1)


def test_u15_what_is_shown_is_what_arrives_byte_for_byte_but_for_the_token(world, room, sink):
    """The parts of the mail and those shown are the same bytes, once each of the two tokens reads `preview`."""
    list_id, who = scenes.add_people(world, world.a, 5, city="Trondheim & Røros <north>", last_name='O"Hara')
    change(world, 'UPDATE contact SET attributes = attributes || \'{"language": "de"}\' WHERE email = :e', e=who[2])
    change(world, "UPDATE contact SET attributes = '{}' WHERE email = :e", e=who[4])
    at = scenes.soon()
    html = HTML.replace("</p><p>", "</p>\n  <p>") + "\n<p>" + "å" * 400 + "</p>\n\n"
    campaign_id, content_hash = submitted(world, list_id, sink.port, at=at, html=html)
    (step,) = reviewed(world, campaign_id)["steps"]
    assert len(step["samples"]) >= 3
    client = world.client(world.a, Role.APPROVER)
    path = f"/w/{world.a.wsp}/campaigns/{campaign_id}/preview/1/1"
    frames = {each["email"]: client.http.get(f"{path}?contact={each['contact_id']}") for each in step["samples"]}
    scenes.approve(world, world.a, campaign_id, content_hash)
    room.at(at).run()
    received = {m.rcpt: message_from_bytes(m.data, policy=policy.SMTP) for m in sink.messages}
    assert len(received) == 5
    for sample in step["samples"]:
        message = received[sample["email"]]
        parts = [message.get_body((kind,)).get_payload(decode=True) for kind in ("html", "plain")]
        click, leave = tokens_of(world, campaign_id, sample["email"])
        # In the HTML, the image that tells of opens has the click's token, too.
        assert [part.count(click.encode()) for part in parts] == [2, 1]
        assert [part.count(leave.encode()) for part in parts] == [1, 1]
        assert f"/o/{click}.gif".encode() in parts[0]
        for token in (click, leave):
            parts = [part.replace(token.encode(), b"preview") for part in parts]
        assert frames[sample["email"]].data == parts[0]
        assert [sample["html"].encode(), sample["text"].encode()] == parts
        assert message["Subject"] == sample["subject"]


def test_the_numbers_are_of_today_the_text_is_what_was_submitted(world):
    """Counts follow the list until the start (R4); the message and the rule do not change after submission."""
    list_id, who = scenes.add_people(world, world.a, 3)
    campaign_id, content_hash = submitted(world, list_id, 25)
    change(
        world, "DELETE FROM list_member m USING contact c WHERE c.contact_id = m.contact_id AND c.email = :e", e=who[0]
    )
    change(world, "UPDATE channel_configuration SET from_name = 'Somebody else'")
    found = reviewed(world, campaign_id)
    assert (found["count"], found["content_hash"]) == (2, content_hash)
    assert found["steps"][0]["channel"]["from_name"] == "Northwind Club"


def test_a_late_look_at_a_passed_slot(world):
    list_id, _ = scenes.add_people(world, world.a, 1)
    campaign_id, _ = submitted(world, list_id, 25)
    change(world, "UPDATE revision SET planned_at = planned_at - interval '2 hours'")
    assert reviewed(world, campaign_id)["effective_if_approved_now"] is None


def test_r13_the_signed_count_stands_beside_the_live_one(world):
    """Of a published revision too: what was signed does not move with the list."""
    list_id, who = scenes.add_people(world, world.a, 4)
    campaign_id, content_hash = submitted(world, list_id, 25)
    scenes.approve(world, world.a, campaign_id, content_hash)
    change(
        world, "DELETE FROM list_member m USING contact c WHERE c.contact_id = m.contact_id AND c.email = :e", e=who[0]
    )
    found = reviewed(world, campaign_id)
    assert (found["signed_count"], found["count"]) == (4, 3)


def test_s15_the_forecast_counts_who_had_enough(world, room, sink):
    """Who got a marketing message of another campaign drops out of a capped one, as the claim will say."""
    list_id, who = scenes.add_people(world, world.a, 4)
    few, _ = scenes.add_people(world, world.a, 1, tag="few")
    change(
        world,
        "INSERT INTO list_member (tenant_id, list_id, contact_id, added_at) SELECT c.tenant_id, :l, c.contact_id, now() "
        "FROM contact c WHERE c.email = ANY(:e)",
        l=parse("lst", few),
        e=who[:3],
    )
    at = scenes.soon()
    first, content_hash = submitted(world, few, sink.port, at=at)
    scenes.approve(world, world.a, first, content_hash)
    room.at(at).run()
    channel = scenes.add_channel(world, world.a, sink.port, name="Other")
    second = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, channel, scenes.soon(2), html=HTML, text=TEXT)
    draft["settings"] = {"frequency_cap": {"use": "own", "messages": 1, "days": 7}}
    scenes.save(world, world.a, second, draft)
    scenes.submit(world, world.a, second)
    found = reviewed(world, second)
    assert len(sink.messages) == 4
    assert (found["reachable"], found["drop_outs"]) == (1, {"capped": 3})
    assert [sample["email"] for sample in found["steps"][0]["samples"]] == [who[3]]
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE delivery SET claimed_at = claimed_at - interval '8 days'"))
        session.commit()
    assert reviewed(world, second)["drop_outs"] == {}
