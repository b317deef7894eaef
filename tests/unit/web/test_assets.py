"""The built files belong to their sources, and the layouts and macros render what pages rely on."""

import re
import shutil
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from flask import Flask, flash, render_template, render_template_string
from flask_babel import Babel

from saas.web import assets
from saas.web.alerts.banner import banner

TEMPLATES = assets.DIST.parents[1] / "templates"
WORDS = """
draft scheduled active paused held stopping stopped completed archived
editing in_review approved published superseded changes_requested rejected revoked
queued running done failed cancelled accepted skipped uncertain open ok warn bad signed waiting
"""

WORKSPACE = {"id": "wsp_1", "name": "Northwind Outdoor", "letters": "NO", "colour": "c2", "href": "/w/wsp_1"}
SHELL = {
    "account": {"name": "Tomas Lindqvist", "email": "tomas@northwind.example"},
    "role_word": "Approver",
    "agency": "Lantern Agency",
    "workspace": WORKSPACE,
    "project": "Winter season",
    "workspaces": [
        WORKSPACE,
        {"id": "wsp_2", "name": "Second <b>", "letters": "SB", "colour": "c4", "href": "/w/wsp_2"},
    ],
    "nav": [
        [
            {"key": "home", "label": "Home", "icon": "house", "href": "/", "count": 0},
            {"key": "approvals", "label": "Approvals", "icon": "signature", "href": "/approvals", "count": 3},
        ],
        [{"key": "Settings", "icon": "settings", "href": "/settings", "count": 0}],
    ],
    "now": {"text": "Thu 12 Nov, 09:42", "iso": "2026-11-12T09:42+01:00", "zone": "Oslo"},
    "theme": "light",
    "csrf_token": "token-1",
}
NOBODY = {
    "account": None,
    "role_word": None,
    "agency": None,
    "workspace": None,
    "project": None,
    "workspaces": [],
    "nav": [],
    "now": None,
    "theme": None,
    "csrf_token": "token-2",
}


@pytest.fixture(scope="module")
def site():
    app = Flask("saas.web", static_folder=str(assets.DIST.parent), template_folder=str(TEMPLATES))
    app.config.update(TESTING=True, SECRET_KEY="only for this test")
    Babel(app)
    assets.register(app)
    app.context_processor(lambda: {"alert_banner": banner})
    for name in ("home", "workspaces", "theme", "sign_out"):
        app.add_url_rule(f"/{name}", f"web.{name}", lambda: "")
    return app


@pytest.fixture
def app(site):
    with site.test_request_context("/campaigns?state=draft"):
        yield site


def part(source, **values):
    return render_template_string(
        "{% import '_macros.html' as m with context %}" + source, **({"shell": SHELL} | values)
    )


def page(source, **values):
    return render_template_string("{% extends 'layouts/app.html' %}" + source, **({"shell": SHELL} | values))


class Elements(HTMLParser):
    """All start tags with their attributes, in order."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def elements(html, tag=None):
    parser = Elements()
    parser.feed(html)
    return [(name, attrs) for name, attrs in parser.found if tag in (None, name)]


# ---------- built files ----------


def test_sources_and_build_belong_together():
    assert assets.faults(dist=assets.DIST, frontend=assets.FRONTEND) == []
    assert assets.main(["check"]) == 0


@pytest.fixture
def copies(tmp_path):
    frontend, dist = tmp_path / "frontend", tmp_path / "dist"
    shutil.copytree(assets.FRONTEND, frontend, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(assets.DIST, dist)
    return {"dist": dist, "frontend": frontend}


def test_a_changed_source_is_noticed(copies):
    tokens = copies["frontend"] / "styles" / "tokens.css"
    tokens.write_bytes(tokens.read_bytes().replace(b"#2b3f9e", b"#2b3f9f"))
    assert assets.faults(**copies) == ["frontend/ has changed since static/dist was built."]


def test_a_renamed_source_is_noticed(copies):
    (copies["frontend"] / "src" / "dom.ts").rename(copies["frontend"] / "src" / "dim.ts")
    assert assets.faults(**copies) == ["frontend/ has changed since static/dist was built."]


def test_changed_missing_and_stray_built_files_are_noticed(copies):
    dist = copies["dist"]
    (dist / "app.css").write_text("body{}", encoding="utf-8")
    (dist / "app.js").unlink()
    (dist / "more.js").write_text("", encoding="utf-8")
    assert assets.faults(**copies) == [
        "static/dist/app.js is missing.",
        "static/dist/more.js is not in the manifest.",
        "static/dist/app.css is not what the build wrote.",
    ]


def test_a_package_without_sources_checks_its_built_files(copies, tmp_path):
    assert assets.faults(dist=copies["dist"], frontend=tmp_path / "none") == []


def test_the_command_says_what_to_do(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(assets, "DIST", tmp_path)
    assert assets.main(["check"]) == 1
    assert "npm ci --ignore-scripts && npm run build" in capsys.readouterr().err
    assert assets.main([]) == 2


def test_the_lock_names_no_registry():
    lock = (assets.FRONTEND / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert lock.count('"integrity"') > 3


def test_addresses_carry_the_content_hash(app):
    assert re.fullmatch(r"/static/dist/app\.css\?v=[0-9a-f]{16}", assets.asset("app.css"))
    assert app.test_client().get(assets.asset("app.css")).status_code == 200
    with pytest.raises(KeyError):
        assets.asset("nothing.css")


# ---------- icons, initials ----------


def test_an_icon_points_into_the_sprite(app):
    html = assets.icon("signature", "ico-lg")
    assert html.startswith('<svg class="ico ico-lg" aria-hidden="true"><use href="/static/dist/icons.svg?v=')
    assert html.endswith('#i-signature"></use></svg>')


def test_an_unknown_icon_fails_loudly_but_not_in_production(app, monkeypatch):
    with pytest.raises(LookupError, match="no-such"):
        assets.icon("no-such")
    monkeypatch.setitem(app.config, "TESTING", False)
    assert "#i-no-such" in assets.icon("no-such")


def test_every_icon_that_a_template_names_exists():
    named = {
        (path.name, icon)
        for path in TEMPLATES.rglob("*.html")
        for icon in re.findall(r"\bicon\('([^']+)'", path.read_text(encoding="utf-8"))
    }
    assert named
    assert {one for one in named if one[1] not in assets.symbols()} == set()


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Tomas Lindqvist", "TL"),
        ("ines", "I"),
        ("Jean-Luc de la Tour", "JT"),
        ("åse vik", "ÅV"),
        ("tomas.l@northwind.example", "T"),
        ("  ", "?"),
    ],
)
def test_initials(name, letters):
    assert assets.initials(name) == letters


# ---------- macros ----------


@pytest.mark.parametrize("state", WORDS.split())
def test_a_badge_is_icon_and_word(app, state):
    html = part("{{ m.badge(state) }}", state=state)
    assert re.fullmatch(r'<span class="cs-badge st-\w+"><svg .*</svg>[A-Z][a-z ]+</span>', html)


def test_a_badge_takes_another_word(app):
    assert part("{{ m.badge('in_review', '1 of 2 signed') }}").endswith("</svg>1 of 2 signed</span>")


def test_numbers(app):
    assert part("{{ m.num(31507) }}") == '<span class="num">31,507</span>'
    assert part("{{ m.num(0, '/people') }}") == '<a class="n" href="/people">0</a>'
    assert ">–</span>" in part("{{ m.num(none, '/people') }}")
    assert part("{{ m.num('38.2 %', '/p', 'opened') }}") == '<a class="n" href="/p" aria-label="opened">38.2 %</a>'


def test_time(app):
    assert part("{{ m.when(iso, 'Fri 20 Nov 07:30', 'Oslo') }}", iso=datetime(2026, 11, 20, tzinfo=UTC)) == (
        '<time datetime="2026-11-20 00:00:00+00:00" class="num">Fri 20 Nov 07:30</time> <span class="t-3">Oslo</span>'
    )


def test_a_field_ties_label_help_and_error_together(app):
    html = part(
        "{{ m.field('email', 'Email', value, 'email', error=['Enter an address.'], help='Work address',"
        " required=True, attrs={'autocomplete': 'email', 'autofocus': True, 'list': none}) }}",
        value='"><script>',
    )
    ((_, label),) = elements(html, "label")
    ((_, control),) = elements(html, "input")
    assert label["for"] == control["id"] == "f-email"
    assert control["aria-describedby"] == "f-email-help f-email-error"
    assert control["aria-invalid"] == "true"
    assert control["value"] == '"><script>'
    assert (control["autocomplete"], "autofocus" in control, "required" in control) == ("email", True, True)
    assert "list" not in control
    ids = {attrs.get("id") for _, attrs in elements(html)}
    assert {"f-email-help", "f-email-error"} <= ids
    assert "<script>" not in html


def test_a_field_never_sends_a_password_back(app):
    assert "secret" not in part("{{ m.field('password', 'Password', 'secret', 'password') }}")


def test_a_textarea_keeps_its_first_line_break(app):
    assert ">\n\nx</textarea>" in part("{{ m.textarea('text', 'Text', '\n' ~ 'x') }}")


def test_a_select_marks_its_value_across_types(app):
    html = part("{{ m.select('n', 'N', [(1, 'one'), (2, 'two')], value='2', blank='Any') }}")
    assert [attrs.get("value") for _, attrs in elements(html, "option") if "selected" in attrs] == ["2"]


def test_checkbox_and_radios(app):
    ((_, box),) = elements(part("{{ m.checkbox('quiet', 'Quiet hours', True) }}"), "input")
    assert (box["value"], "checked" in box) == ("1", True)
    html = part("{{ m.radios('role', 'Role', [('viewer', 'Viewer'), ('manager', 'Manager')], 'manager') }}")
    assert [attrs["value"] for _, attrs in elements(html, "input") if "checked" in attrs] == ["manager"]
    targets = {attrs["for"] for _, attrs in elements(html, "label")}
    assert targets == {attrs["id"] for _, attrs in elements(html, "input")}


def test_the_summary_of_errors_links_to_fields(app):
    html = part("{{ m.errors_note({'name': 'Enter a name.', '': ['Two', 'texts']}, {'name': 'Name'}) }}")
    assert 'role="alert"' in html
    assert "2 things need attention." in html
    assert '<a href="#f-name">Name</a>: Enter a name.' in html
    assert "<li>Two texts</li>" in html
    assert part("{{ m.errors_note({}) }}") == ""


def test_a_confirmation_is_a_form_in_a_popover(app):
    html = part(
        "{% call m.confirm('stop', '/stop', 'Stop campaign…', 'Stop “Outlet”?', 'Stop campaign', number=31539,"
        " fields={'etag': 'a'}) %}31,539 people will not get one.{% endcall %}"
    )
    opener, *_rest = [attrs for _, attrs in elements(html, "button")]
    assert opener["popovertarget"] == "stop"
    hidden = {attrs["name"]: attrs["value"] for _, attrs in elements(html, "input") if attrs.get("type") == "hidden"}
    assert hidden == {"csrf_token": "token-1", "etag": "a"}
    typed = [attrs for _, attrs in elements(html, "input") if attrs.get("name") == "confirm"]
    assert typed[0]["pattern"] == "31539"


def test_menu_entries_that_act_are_forms(app):
    html = part("{% call m.menu('m-1', 'Actions') %}{{ m.act_item('/p', 'pause', 'Pause', {'no': 3}) }}{% endcall %}")
    assert ("form", {"method": "post", "action": "/p"}) in elements(html)
    assert ("input", {"type": "hidden", "name": "no", "value": "3"}) in elements(html)


def test_pager_ends(app):
    links = elements(part("{{ m.pager(none, '/p?after=x', '1 to 10') }}"), "a")
    assert links[0][1]["aria-disabled"] == "true"
    assert "href" not in links[0][1]
    assert links[1][1]["href"] == "/p?after=x"


def test_a_stacked_bar_keeps_small_parts_visible_and_stands_without_any(app):
    widths = [
        float(attrs["width"])
        for _, attrs in elements(
            part("{{ m.stacked([(100000, 'st-done'), (1, 'st-failed'), (0, 'st-open')], 100001) }}")
        )
        if "width" in attrs
    ]
    assert len(widths) == 2
    assert min(widths) > 600
    assert "<rect" not in part("{{ m.stacked([(0, 'st-done')], 0) }}")


def test_texts_are_escaped(app):
    html = part(
        "{{ m.av(x) }}{{ m.sig(x, x, x) }}{{ m.act(x, x, x) }}{{ m.crumbs([(x, x)]) }}"
        "{{ m.empty('users', x, x, x, x) }}",
        x="<img src=x onerror=y>",
    )
    assert "<img" not in html


# ---------- layouts ----------


def test_the_frame_says_where_and_who(app):
    html = page(
        "{% block title %}T{% endblock %}{% block nav %}approvals{% endblock %}{% block main %}<h1>T</h1>{% endblock %}"
    )
    assert "<title>T · Northwind Outdoor · Countersign</title>" in html
    current = [attrs["href"] for _, attrs in elements(html, "a") if attrs.get("aria-current") == "page"]
    assert current == ["/approvals"]
    assert "Tomas Lindqvist · Approver" in html
    assert "Second &lt;b&gt;" in html
    assert html.lstrip().startswith("<!doctype html>")
    assert html.rstrip().endswith("</html>")


def test_the_head_is_drawn_from_its_blocks(app):
    html = page(
        "{% block heading %}Campaigns{% endblock %}{% block sub %}46{% endblock %}"
        "{% block crumbs %}{{ m.crumbs([('Settings', '/s')]) }}{% endblock %}"
        "{% block actions %}<a>New</a>{% endblock %}"
    )
    assert "<h1>Campaigns</h1>" in html
    assert '<div class="cs-actions"><a>New</a></div>' in html
    assert "cs-head" not in page("{% block main %}{% endblock %}")


def test_every_form_of_the_frame_posts_with_its_token(app):
    html = page("")
    forms = elements(html, "form")
    assert {attrs["action"] for _, attrs in forms} == {"/theme", "/sign_out"}
    assert {attrs["method"] for _, attrs in forms} == {"post"}
    assert html.count('name="csrf_token" value="token-1"') == len(forms)
    assert 'name="next" value="/campaigns?state=draft"' in html


@pytest.mark.parametrize("theme", ["light", "dark", None])
def test_the_theme_is_the_servers(app, theme):
    html = page("", shell=SHELL | {"theme": theme})
    assert f'data-bs-theme="{theme or "light"}"' in html
    assert f'name="theme" value="{"light" if theme == "dark" else "dark"}"' in html
    assert ("dist/theme.js" in html) == (theme is None)


def test_the_frame_stands_without_workspace_and_person(app):
    html = page("", shell=NOBODY)
    assert "Choose a workspace" in html
    assert "<title> · Countersign</title>" in html


def test_flashes_are_said(app):
    flash("Saved.", "success")
    flash("Not saved.", "error")
    html = page("")
    assert re.search(r'<div class="cs-note st-done" role="status">.*Saved\.', html)
    assert re.search(r'<div class="cs-note st-failed" role="alert">.*Not saved\.', html)


def test_the_public_frame_needs_nothing(app):
    html = render_template_string("{% extends 'layouts/public.html' %}{% block main %}<h1>Sign in</h1>{% endblock %}")
    assert "<h1>Sign in</h1>" in html


@pytest.mark.parametrize("code", [400, 403, 404, 409, 429, 500, 503])
@pytest.mark.parametrize("shell", [SHELL, NOBODY, None])
def test_error_pages(app, code, shell):
    values = {} if shell is None else {"shell": shell}
    html = render_template(f"errors/{code}.html", request_id="req_1", **values)
    assert f"{code} · " in html
    assert "Request req_1" in html
    assert len(elements(html, "h1")) == 1
    assert ("cs-nav" in html) == (shell is SHELL and code < 500)


def test_an_error_page_takes_the_handlers_words(app):
    html = render_template(
        "errors/403.html", title="You cannot sign", detail="You wrote it.", shell=SHELL, right="Approve"
    )
    assert '<h1 class="mb-2">You cannot sign</h1>' in html
    assert "You wrote it." in html
    assert "This needs the right “Approve”." in html


def test_ids_are_unique(app):
    html = page("{% block main %}{{ m.field('a', 'A') }}{% endblock %}")
    ids = [attrs["id"] for _, attrs in elements(html) if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_no_template_has_inline_script_or_style():
    bad = re.compile(
        r"""<style|\sstyle\s*=|<script(?![^>]*\bsrc=)|\son[a-z]+\s*=\s*["']|hx-on|javascript:""", re.IGNORECASE
    )
    found = {
        (path.relative_to(TEMPLATES).as_posix(), match[0])
        for path in TEMPLATES.rglob("*.html")
        for match in bad.finditer(path.read_text(encoding="utf-8"))
        if "mail" not in path.parts
    }
    assert found == set()
