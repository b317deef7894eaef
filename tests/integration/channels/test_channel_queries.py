"""Fingerprints in the database, and the adapter of a stored configuration."""

import pytest
import sqlalchemy as sa

from saas.channels import queries, rules
from saas.channels.service import adapters, configurations, smtp
from saas.channels.types import ChannelDraft, DkimAlgorithm, Outcome, OutcomeKind, Outgoing, Purpose, Security
from saas.kernel.clock import SystemClock
from saas.kernel.errors import NotFound
from saas.permissions.types import Role
from saas.platform.secrets.service import Unreadable, Vault
from tests.smtp_sink import SmtpSink
from tests.worlds import bound

pytestmark = pytest.mark.integration

VAULT = Vault(b"k" * 32)


def make(session, place, *, allow=(), **changes):
    values = {
        "name": "Newsletter",
        "purpose": Purpose.MARKETING,
        "from_name": "Northwind",
        "from_address": "news@northwind.example",
        "host": "smtp.relay.example",
        "port": 587,
        "security": Security.STARTTLS,
        **changes,
    }
    return smtp.create(
        session, actor=place.actor(Role.ADMIN), draft=ChannelDraft(**values), vault=VAULT, allow=allow,
        now=SystemClock().now(),
    )  # fmt: skip


NAMES = [
    'Größe "Ä" \\ Söhne', "日本 🏔", "e\u0301 \u00e9", "a/b'c\\'d", "%s {0} :x ::jsonb", "\u200d\u202e x", "<b>&amp;</b>",
    "\U0010ffff\ufffe",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_fingerprint_is_the_same_in_the_database(world, engine, name):
    with bound(engine, world.a) as session:
        plain = make(session, world.a, name="plain")
        full = make(
            session, world.a, name="full", from_name=name, reply_to="help@bücher.example",
            return_path="bounces@northwind.example", purpose=Purpose.TRANSACTIONAL,
        )  # fmt: skip
        signing = make(session, world.a, name="signing", from_name=name)
        smtp.make_dkim(
            session, actor=world.a.actor(Role.ADMIN), channel_id=signing.channel_id, domain="northwind.example",
            selector="csn1", algorithm=DkimAlgorithm.ED25519, vault=VAULT, now=SystemClock().now(),
        )  # fmt: skip
        text = sa.text(
            f"SELECT {queries.FINGERPRINT_SQL}, {queries.FINGERPRINT_SQL} = CAST(:kept AS jsonb)"
            " FROM channel_configuration ch WHERE ch.tenant_id = :tenant AND ch.channel_id = :id"
        ).bindparams(sa.bindparam("kept", type_=sa.dialects.postgresql.JSONB))
        for row in (plain, full, signing):
            ours = rules.fingerprint_of(row)
            found = session.execute(text, {"kept": ours, "tenant": world.a.tenant_id, "id": row.channel_id}).one()
            assert found == (ours, True)
        assert rules.fingerprint_of(plain)["reply_to"] is None
        assert rules.fingerprint_of(full)["from_name"] == name
        assert rules.fingerprint_of(signing).keys() - rules.fingerprint_of(plain).keys() == {
            "dkim_domain", "dkim_selector",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "part"),
    [
        ("from_name", "Other", True), ("from_address", "x@northwind.example", True), ("reply_to", "x@n.example", True),
        ("return_path", "x@n.example", True), ("host", "smtp.other.example", True), ("purpose", "transactional", True),
        ("port", 465, False), ("security", "tls", False), ("username", "u", False), ("rate_per_minute", 5, False),
        ("name", "Other", False), ("password_sealed", b"x", False), ("connections", 9, False),
        ("source_address", "192.0.2.1", False), ("ehlo_name", "x.example", False), ("dkim_record", "x", False),
    ],
)  # fmt: skip
def test_what_an_approver_signs(world, engine, field, value, part):
    with bound(engine, world.a) as session:
        row = make(session, world.a)
        before = rules.fingerprint_of(row)
        setattr(row, field, value)
        session.flush()
        same = session.scalar(
            sa.text(
                f"SELECT {queries.FINGERPRINT_SQL} = CAST(:kept AS jsonb) FROM channel_configuration ch"
            ).bindparams(sa.bindparam("kept", before, type_=sa.dialects.postgresql.JSONB))
        )
        assert same is not part
        assert (rules.fingerprint_of(row) == before) is not part


def test_what_signs_the_mails_is_signed_by_approvers(world, engine):
    with bound(engine, world.a) as session:
        row = make(session, world.a)
        found = [rules.fingerprint_of(row)]
        for domain, selector in (("northwind.example", "a"), ("northwind.example", "b")):
            smtp.make_dkim(
                session, actor=world.a.actor(Role.ADMIN), channel_id=row.channel_id, domain=domain, selector=selector,
                algorithm=DkimAlgorithm.ED25519, vault=VAULT, now=SystemClock().now(),
            )  # fmt: skip
            assert rules.fingerprint_of(row) not in found
            found.append(rules.fingerprint_of(row))


def test_the_adapter_greets_with_the_configurations_own_name(world, engine):
    with SmtpSink() as sink, bound(engine, world.a) as session:
        row = make(
            session, world.a, host=sink.host, port=sink.port, security=Security.NONE, allow=(sink.address,),
            ehlo_name="mail.northwind.example",
        )  # fmt: skip
        adapter = adapters.smtp_adapter(session, channel=row, vault=VAULT, allow=(sink.address,), ehlo_name="x.example")
        message = Outgoing(0, row.from_address, "bob@example.net", b"Subject: a\r\n\r\nb\r\n")
        adapter.deliver(iter([message]), watch=Watch())
        adapter.close()
        assert "EHLO mail.northwind.example" in sink.commands


class Watch:
    outcome: Outcome

    def may_go_on(self, index):
        return True

    def offered(self, index):
        pass

    def settled(self, index, outcome):
        self.outcome = outcome


def test_the_adapter_of_a_configuration_signs_in_with_the_sealed_password(world, engine):
    with SmtpSink(login=("ann", "Zürich-7")) as sink, bound(engine, world.a) as session:
        row = make(
            session, world.a, host=sink.host, port=sink.port, security=Security.NONE, username="ann",
            password="Zürich-7", allow=(sink.address,),
        )  # fmt: skip
        assert b"rich-7" not in row.password_sealed
        watch = Watch()
        adapter = adapters.smtp_adapter(
            session, channel=row, vault=VAULT, allow=(sink.address,), ehlo_name="mail.countersign.example"
        )
        message = Outgoing(0, row.from_address, "bob@example.net", b"Subject: a\r\n\r\nb\r\n")
        adapter.deliver(iter([message]), watch=watch)
        adapter.close()
        assert watch.outcome.kind is OutcomeKind.ACCEPTED
        assert "EHLO mail.countersign.example" in sink.commands


def test_a_sealed_password_opens_in_its_own_row_only(world, engine):
    with bound(engine, world.a) as session:
        one = make(session, world.a, username="ann", password="secret")
        two = make(session, world.a, name="two", username="ann", password="other")
        two.password_sealed = one.password_sealed
        session.flush()
        with pytest.raises(Unreadable):
            adapters.smtp_adapter(session, channel=two, vault=VAULT, allow=(), ehlo_name="x.example")


def test_whatever_stands_in_the_row_egress_has_the_last_word(world, engine):
    with SmtpSink() as sink, bound(engine, world.a) as session:
        row = make(session, world.a)
        row.host, row.port = sink.host, sink.port
        session.flush()
        adapter = adapters.smtp_adapter(session, channel=row, vault=VAULT, allow=(), ehlo_name="x.example")
        watch = Watch()
        adapter.deliver(iter([Outgoing(0, row.from_address, "bob@example.net", b"x")]), watch=watch)
        assert watch.outcome.kind is OutcomeKind.DEFERRED
        assert sink.connections == 0


def test_archived_is_missing_but_can_be_found(world, engine):
    with bound(engine, world.a) as session:
        row = make(session, world.a, username="ann", password="secret")
        configurations.archive(
            session, actor=world.a.actor(Role.ADMIN), channel_id=row.channel_id, expected=1, now=SystemClock().now()
        )
        with pytest.raises(NotFound):
            queries.channel(session, row.channel_id)
        assert queries.find(session, row.channel_id).password_sealed is None


def test_who_is_a_member(world, engine):
    with bound(engine, world.a) as session:
        for role, address in world.a.emails.items():
            assert queries.is_member_address(session, f" {address.upper()} "), role
        assert queries.is_member_address(session, world.owner_email)
        assert not any(queries.is_member_address(session, address) for address in world.b.emails.values())
        assert not queries.is_member_address(session, "nobody@northwind.example")
        session.execute(
            sa.text("UPDATE account SET suspended_at = created_at WHERE email = :email"), {"email": world.owner_email}
        )
        assert not queries.is_member_address(session, world.owner_email)
