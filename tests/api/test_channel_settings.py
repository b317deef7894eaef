"""Connections, source address, greeting and DKIM of channel configurations, over the API."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from saas.channels import queries
from saas.channels.service import adapters
from saas.kernel.ids import parse
from saas.permissions.types import Role
from saas.platform.secrets.service import Unreadable
from tests.worlds import bound

pytestmark = pytest.mark.integration

BODY = {
    "name": "Newsletter", "purpose": "marketing", "from_name": "Northwind Outdoor",
    "from_address": "news@club.northwind.example", "host": "smtp.relay.example", "port": 587, "security": "starttls",
}  # fmt: skip
KEY = {"domain": "northwind.example", "selector": "csn1", "algorithm": "ed25519"}


@pytest.fixture
def admin(world):
    return world.client(world.a, Role.ADMIN)


@pytest.fixture
def url(admin):
    answer = admin.post("/channels", BODY)
    assert answer.status_code == 201, answer.text
    return f"/channels/{answer.get_json()['channel_id']}"


def pointers(answer):
    assert answer.status_code == 422, answer.text
    return [fault["pointer"] for fault in answer.get_json()["errors"]]


def channel_of(session, url):
    return queries.channel(session, parse("chn", url.rpartition("/")[2]))


def test_connections_and_greeting_are_kept_and_are_no_part_of_the_fingerprint(admin, url):
    before = admin.get(url).get_json()
    assert (before["connections"], before["source_address"], before["ehlo_name"]) == (4, None, None)
    changed = admin.patch(url, {"connections": 12, "ehlo_name": "Mail.Northwind.example"}, etag='"1"').get_json()
    assert (changed["connections"], changed["ehlo_name"]) == (12, "mail.northwind.example")
    assert changed["fingerprint"] == before["fingerprint"]
    for field, value in {"connections": 51, "ehlo_name": "a b", "source_address": "192.0.2.1"}.items():
        assert pointers(admin.patch(url, {field: value}, etag='"2"')) == [f"/{field}"]
    assert pointers(admin.patch(url, {"connections": None}, etag='"2"')) == ["/connections"]


def test_only_the_installations_own_addresses_may_be_chosen(world, admin, url, monkeypatch):
    running = world.app.extensions["countersign"]
    monkeypatch.setattr(running, "settings", replace(running.settings, source_addresses=("192.0.2.1",)))
    assert admin.patch(url, {"source_address": "192.0.2.1"}, etag='"1"').get_json()["source_address"] == "192.0.2.1"
    refused = admin.patch(url, {"source_address": "192.0.2.2"}, etag='"2"')
    assert pointers(refused) == ["/source_address"] and "192.0.2.1" in refused.text
    assert admin.patch(url, {"source_address": None}, etag='"2"').get_json()["source_address"] is None


def test_a_key_is_made_and_published_and_never_read_back(world, engine, admin, url):
    made = admin.post(f"{url}/dkim", KEY)
    assert made.status_code == 201 and made.headers["ETag"] == '"2"'
    key = made.get_json()
    assert key["dns_name"] == "csn1._domainkey.northwind.example"
    assert key["dns_record"].startswith("v=DKIM1; k=ed25519; p=")
    read = admin.get(url)
    assert read.get_json()["dkim"] == key and "PRIVATE" not in read.text + made.text
    assert read.get_json()["fingerprint"]["dkim_domain"] == "northwind.example"
    assert read.get_json()["fingerprint"]["dkim_selector"] == "csn1"
    vault = world.app.extensions["countersign"].vault
    with bound(engine, world.a) as session:
        row = channel_of(session, url)
        assert b"PRIVATE" not in row.dkim_key_sealed
        opened = adapters.dkim_of(session, channel=row, vault=vault)
        assert (opened.domain, opened.selector) == ("northwind.example", "csn1")
        load_pem_private_key(opened.private_pem, None)
        row.password_sealed, row.dkim_key_sealed = row.dkim_key_sealed, b"\1" * 64
        with pytest.raises(Unreadable):
            adapters.dkim_of(session, channel=row, vault=vault)


def test_another_key_needs_another_selector_and_rsa_is_the_default(admin, url):
    admin.post(f"{url}/dkim", KEY)
    assert pointers(admin.post(f"{url}/dkim", KEY)) == ["/selector"]
    assert pointers(admin.post(f"{url}/dkim", {**KEY, "selector": "CSN1"})) == ["/selector"]
    second = admin.post(f"{url}/dkim", {"domain": "club.northwind.example", "selector": "csn1"})
    assert second.status_code == 201 and second.get_json()["algorithm"] == "rsa-2048"
    assert pointers(admin.post(f"{url}/dkim", {**KEY, "domain": "example.org"})) == ["/domain"]
    assert pointers(admin.post(f"{url}/dkim", {**KEY, "algorithm": "rsa-512"})) == ["/algorithm"]
    assert pointers(admin.post(f"{url}/dkim", {**KEY, "private_key": "x"})) == ["/private_key"]


def test_the_sender_stays_within_the_domain_that_signs(admin, url):
    admin.post(f"{url}/dkim", KEY)
    moved = admin.patch(url, {"from_address": "news@other.example"}, etag='"2"')
    assert pointers(moved) == ["/from_address"] and "northwind.example" in moved.text
    assert admin.patch(url, {"from_address": "news@northwind.example"}, etag='"2"').status_code == 200


def test_a_key_is_removed_and_the_fingerprint_is_the_old_one_again(engine, world, admin, url):
    before = admin.get(url).get_json()["fingerprint"]
    admin.post(f"{url}/dkim", KEY)
    assert admin.delete(f"{url}/dkim").status_code == 428
    assert admin.delete(f"{url}/dkim", etag='"1"').status_code == 412
    assert admin.delete(f"{url}/dkim", etag='"2"').status_code == 204
    after = admin.get(url).get_json()
    assert after["dkim"] is None and after["fingerprint"] == before and after["version"] == 3
    assert admin.delete(f"{url}/dkim", etag='"3"').status_code == 204
    assert admin.get(url).get_json()["version"] == 3
    with bound(engine, world.a) as session:
        row = channel_of(session, url)
        assert (row.dkim_key_sealed, row.dkim_record) == (None, None)
        assert adapters.dkim_of(session, channel=row, vault=world.app.extensions["countersign"].vault) is None


def test_archiving_forgets_the_key(engine, world, admin, url):
    admin.post(f"{url}/dkim", KEY)
    assert admin.delete(url, etag='"2"').status_code == 204
    with bound(engine, world.a) as session:
        row = queries.find(session, parse("chn", url.rpartition("/")[2]))
        assert row.dkim_key_sealed is None


@pytest.mark.parametrize("role", [Role.VIEWER, Role.APPROVER, Role.MANAGER])
def test_only_administrators_make_and_remove_keys(world, admin, url, role):
    other = world.client(world.a, role)
    assert other.post(f"{url}/dkim", KEY).status_code == 403
    assert other.delete(f"{url}/dkim", etag='"1"').status_code == 403
    assert world.key(world.a).post(f"{url}/dkim", KEY).status_code == 403
    stranger = world.client(world.b, Role.ADMIN)
    assert stranger.post(f"{url}/dkim", KEY).status_code == 404
    assert stranger.delete(f"{url}/dkim", etag='"1"').status_code == 404
