"""Settings are read once, whole, and say which variable is wrong."""

import base64
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.platform.settings import BadSetting, Settings, variable_names

KEY = base64.b64encode(bytes(range(32))).decode()
LEAST = {
    "DATABASE_URL": "postgresql+psycopg://csn_app@db.example/countersign",
    "REDIS_URL": "redis://redis.example",
    "SECRET_KEY": KEY,
    "MASTER_KEY": KEY,
}


def read(**given: str) -> Settings:
    return Settings.from_env(LEAST | given)


def test_four_variables_are_enough():
    found = read()
    assert found.secret_key == bytes(range(32))
    assert (found.publish_lead_s, found.egress_allow, found.log_json, found.embedded) == (300, (), False, False)


@pytest.mark.parametrize("name", LEAST)
def test_a_missing_variable_is_named(name):
    for without in ({k: v for k, v in LEAST.items() if k != name}, LEAST | {name: ""}):
        with pytest.raises(BadSetting, match=f"^{name}: not set$"):
            Settings.from_env(without)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SECRET_KEY", "secret", "base64"),
        ("SECRET_KEY", base64.b64encode(b"short").decode(), "32 bytes"),
        ("MASTER_KEY", base64.b64encode(b"x" * 33).decode(), "32 bytes"),
        ("PUBLIC_URL", "countersign.example", "must start with http"),
        ("DB_POOL_SIZE", "-1", "negative"),
        ("DB_POOL_SIZE", "eight", "invalid literal"),
        ("LOG_JSON", "perhaps", "yes or no"),
        ("PUBLISH_LEAD_S", "299", "at least 300"),
    ],
)
def test_a_value_we_cannot_use_is_named(name, value, reason):
    with pytest.raises(BadSetting, match=rf"^{name}: .*{reason}"):
        read(**{name: value})


def test_a_wrong_secret_is_not_repeated():
    with pytest.raises(BadSetting) as caught:
        read(SECRET_KEY="hunter2hunter2")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_short_lead_is_for_embedded_services_only():
    assert Settings.from_env(LEAST | {"PUBLISH_LEAD_S": "2"}, embedded=True).publish_lead_s == 2


def test_values_are_read_in_their_form():
    found = read(
        PUBLIC_URL="https://mail.lantern.example/",
        EGRESS_ALLOW="127.0.0.1:8025, Relay.Lantern.example:25,",
        LOG_JSON="Yes",
    )
    assert found.public_url == "https://mail.lantern.example"
    assert found.egress_allow == ("127.0.0.1:8025", "relay.lantern.example:25")
    assert found.log_json is True


def test_settings_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        read().db_pool_size = 9  # type: ignore[misc]


def test_unknown_variables_do_not_matter():
    assert read(PATH="/usr/bin", DATABASE_URLS="x") == read()


def refusal(name: str, value: str) -> str | None:
    try:
        read(**{name: value})
    except BadSetting as error:
        return str(error)
    return None


@given(st.sampled_from(variable_names()), st.text(max_size=40))
def test_any_text_is_read_or_refused_by_name(name, value):
    assert (refusal(name, value) or f"{name}: ").startswith(f"{name}: ")


def test_source_addresses_are_read_in_their_one_spelling():
    assert read().source_addresses == ()
    assert read(SOURCE_ADDRESSES=" 192.0.2.10, 2001:DB8:0::10 ,").source_addresses == ("192.0.2.10", "2001:db8::10")
    with pytest.raises(BadSetting, match=r"^SOURCE_ADDRESSES: must be IP addresses"):
        read(SOURCE_ADDRESSES="192.0.2.10, mail.northwind.example")
