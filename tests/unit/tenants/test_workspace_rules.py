"""Pure rules of workspaces: short names, colours that can be read, images by their content, who enters what is at rest."""

import struct
import zlib
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.accounts.rules import is_within, read_networks
from saas.kernel.errors import Invalid
from saas.permissions.types import CAMPAIGN_ROLES, Role, WorkspaceState
from saas.tenants.rules import (
    LEAST_CONTRAST,
    WORKSPACE,
    check_colour,
    contrast,
    image_type,
    may_enter,
    slug_of,
)
from saas.tenants.types import WorkspaceMove
from tests.architecture.trees import ROOT

# From, move, to: written by hand from the issue.
ORACLE = {
    ("active", "suspend"): "suspended",
    ("suspended", "activate"): "active",
    ("suspended", "archive"): "archived",
    ("archived", "restore"): "suspended",
}


def png(width=10, height=10):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 31)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def jpeg(width=10, height=10):
    frame = b"\xff\xc0" + struct.pack(">HBHH", 11, 8, height, width) + b"\x01\x01\x11\x00"
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\0" + b"\0" * 9 + frame + b"\xff\xd9"


def test_moves_are_those_of_the_table():
    for state, move in product(WorkspaceState, WorkspaceMove):
        assert WORKSPACE.after(state, move) == ORACLE.get((state.value, move.value)), (state, move)


def test_docs_draw_the_table():
    page = (ROOT / "docs" / "permissions.md").read_text(encoding="utf-8")
    assert WORKSPACE.as_mermaid(WorkspaceState.ACTIVE) in page
    assert WORKSPACE.as_table() in page


@pytest.mark.parametrize("state", WorkspaceState)
def test_who_enters(state):
    for role in Role:
        expected = state is not WorkspaceState.ARCHIVED or role in {Role.AGENCY_OWNER, Role.AGENCY_ADMIN}
        assert may_enter(state, [(role, None)]) is expected, role
    assert not may_enter(state, [])
    assert len(CAMPAIGN_ROLES) == 4


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Northwind Outdoor", "northwind-outdoor"), ("  Ærø & Søn  ", "r-sn"), ("株式会社", "workspace"), ("A" * 90, "a" * 40),
     ("Café -- Été", "cafe-ete")],
)  # fmt: skip
def test_short_names(name, slug):
    assert slug_of(name) == slug


@given(st.text(max_size=60))
def test_a_short_name_has_the_form_that_the_api_takes(name):
    found = slug_of(name)
    assert 1 <= len(found) <= 40
    assert found.strip("-") == found
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)
    assert contrast("#1f5f4a", "#ffffff") > 7


@pytest.mark.parametrize(
    ("colour", "on_dark", "fits"),
    [("#1f5f4a", False, True), ("#777777", False, False), ("#ffee00", False, False), ("#7fc7ad", True, True),
     ("#1f5f4a", True, False), (None, False, True)],
)  # fmt: skip
def test_colours_must_be_readable(colour, on_dark, fits):
    if fits:
        check_colour(colour, on_dark=on_dark, pointer="/brand_colour")
        return
    with pytest.raises(Invalid) as refused:
        check_colour(colour, on_dark=on_dark, pointer="/brand_colour")
    assert f"{LEAST_CONTRAST} is needed" in refused.value.detail


def test_images_are_known_by_their_content():
    assert image_type(png()) == "image/png"
    assert image_type(jpeg()) == "image/jpeg"


@pytest.mark.parametrize(
    "content",
    [b"", b"GIF89a" + b"\0" * 40, b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", b"<html>" + png(), png()[:30],
     png(0, 10), png(5000, 10), jpeg()[:12], jpeg(10, 5000), b"\x89PNG\r\n\x1a\n" + b"<script>" * 9],
)  # fmt: skip
def test_what_is_no_logo_is_refused(content):
    with pytest.raises(Invalid):
        image_type(content)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(content):
    for start in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"):
        try:
            assert image_type(start + content) in {"image/png", "image/jpeg"}
        except Invalid:
            continue


@pytest.mark.parametrize(
    ("address", "inside"),
    [("192.0.2.7", True), ("192.0.3.7", False), ("2001:db8::1", True), ("2001:db9::1", False), ("::ffff:192.0.2.7", True),
     ("203.0.113.5", True), ("203.0.113.6", False), (None, False), ("nonsense", False), ("", False)],
)  # fmt: skip
def test_addresses_lie_in_networks(address, inside):
    networks = read_networks(["192.0.2.9/24", "2001:db8::/32", "203.0.113.5", "203.0.113.5"])
    assert networks == ["192.0.2.0/24", "2001:db8::/32", "203.0.113.5/32"]
    assert is_within(address, networks) is inside


def test_networks_that_are_none_have_their_place():
    with pytest.raises(Invalid) as refused:
        read_networks(["192.0.2.0/24", "192.0.2.0/99"])
    assert refused.value.faults[0].pointer == "/allowed_ips/1"
    assert read_networks([]) is None
