"""The jailed renderer against hostile templates: bounded in time and memory, one person's trouble is that person's only."""

import os
import signal
import sys
import threading
import time
from itertools import chain, zip_longest
from pathlib import Path

import pytest

from saas.content.jail import child
from saas.content.jail.renderer import Renderer
from saas.content.types import RenderFailure, Survey
from saas.kernel.errors import Unavailable

HANG = "{% if contact.hang %}{% assign a = contact.x | split: '' | uniq %}{{ a | size }}{% endif %}ok"
CALM = {"contact": {"hang": False}}
HANGING = {"contact": {"hang": True, "x": "".join(map(chr, range(0x4E00, 0x4E00 + 20_000))) * 2}}


def render(renderer, sources, rows):
    """Return each row's whole rendered sources: what is literal, and everything else filled in by the child."""
    plans = renderer.plan(sources)
    failures = [plan for plan in plans.values() if isinstance(plan, RenderFailure)]
    if failures:
        return [failures[0]] * len(rows)
    made = renderer.fill(sources, plans, [(row, True) for row in rows])
    return [each if isinstance(each, RenderFailure) else joined(sources, plans, each) for each in made]


def joined(sources, plans, made):
    return {
        name: "".join(chain.from_iterable(zip_longest(plans[name].literals, holes, fillvalue="")))
        for name, holes in zip(sources, made, strict=True)
    }


def one(renderer, source, row=None, *, name="text"):
    (made,) = render(renderer, {name: source}, [row or {}])
    return made if isinstance(made, RenderFailure) else made[name]


def test_values_are_escaped_in_html_only(renderer):
    row = {"contact": {"name": "<b>&\"'"}}
    (made,) = render(renderer, dict.fromkeys(("subject", "html", "text"), "{{ contact.name }}"), [row])
    assert made == {"subject": "<b>&\"'", "html": "&lt;b&gt;&amp;&#34;&#39;", "text": "<b>&\"'"}


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{ contact.missing }}|{{ missing }}|{{ contact.missing.deeper }}", "||"),
        ("{{ contact.none }}{{ contact.yes }}{{ contact.f }}", "true1.5"),
        ("{% for i in contact.list %}{{ i }},{{ forloop.index }};{% endfor %}", "a,1;b,2;"),
        ("{{ contact.day | date: '%d.%m.%Y' }}", "01.02.2026"),
        ("{{ '2026-02-01T23:30:00+05:00' | date: '%H:%M' }}", "23:30"),
        ("{{ 0 | date: '%Y-%m-%d %H:%M' }}", "1970-01-01 00:00"),
        ("{{ contact.missing | date: '%Y' }}", ""),
        ("{{ 'no date' | date: '%Y' }}", "no date"),
        ("{{ contact.missing | default: 'friend' | upcase }}", "FRIEND"),
    ],
)
def test_ordinary_templates_render(renderer, source, shown):
    row = {"contact": {"none": None, "yes": True, "f": 1.5, "list": ["a", "b"], "day": "2026-02-01"}}
    assert one(renderer, source, row) == shown


TEN = '| replace: "a","aaaaaaaaaa" ' * 10
BOMBS = {
    "filter chain": '{{ "aaaaaaaaaa" ' + TEN + "}}",
    "append doubling": "{% assign a = 'aaaaaaaaaa' %}{% for i in (1..60) %}{% assign a = a | append: a %}{% endfor %}{{ a }}",
    "prepend doubling": "{% assign a = 'aaaaaaaaaa' %}{% for i in (1..60) %}{% assign a = a | prepend: a %}{% endfor %}",
    "capture doubling": "{% assign a = 'aaaaaaaaaa' %}{% for i in (1..60) %}{% capture a %}{{ a }}{{ a }}{% endcapture %}{% endfor %}",
    "concat doubling": "{% assign a = 'a,b' | split: ',' %}{% for i in (1..60) %}{% assign a = a | concat: a %}{% endfor %}{{ a | join: ' ' }}",
    "nested loops": "{% for i in (1..1000) %}{% for j in (1..1000) %}{% for k in (1..1000) %}{{ k }}{% endfor %}{% endfor %}{% endfor %}",
    "empty nested loops": "{% for i in (1..9999) %}{% for j in (1..9999) %}{% endfor %}{% endfor %}",
    "tablerow": "{% tablerow i in (1..99999999) %}{% endtablerow %}",
    "huge range": "{{ (1..9999999999) | join: ',' }}",
    "range reverse": "{{ (1..999999999) | reverse | first }}",
    "split join": '{{ contact.big | split: "" | join: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }}',
    "one large value": "{{ contact.big | append: contact.big }}",
    "output": "{% for i in (1..9000) %}{{ contact.big }}{% endfor %}",
    "number doubling": "{% assign n = 99999999 %}{% for i in (1..9000) %}{% assign n = n | times: n %}{% endfor %}{{ n }}",
    "strftime width": "{{ 0 | date: '%999999999d' }}",
    "strftime length": "{{ 0 | date: contact.form }}",
    "deep context": "{% for a in (1..2) %}" * 12 + "{% endfor %}" * 12,
    "surrogate": "{{ contact.surrogate }}",
    "divide": "{{ 1 | divided_by: 0 }}",
    "include": "{% include 'x' %}",
    "unknown filter": "{{ 1 | nope }}",
}


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_fail_for_their_person_only(renderer, source):
    row = {"contact": {"big": "a" * 150_000, "form": "%A" * 5000, "surrogate": "\ud800"}}
    started = time.monotonic()
    made = (
        render(renderer, {"text": "ok"}, [{}])
        + render(renderer, {"text": source}, [row])
        + render(renderer, {"text": "ok"}, [{}])
    )
    assert time.monotonic() - started < 60
    assert made[0] == made[2] == {"text": "ok"}
    assert isinstance(made[1], RenderFailure)
    assert len(made[1].reason) <= 200


def test_reasons_name_part_and_place_and_none_of_the_values(renderer):
    failure = one(
        renderer, "a\n {{ contact.secret | divided_by: 'canary' }}", {"contact": {"secret": "canary"}}, name="html"
    )
    assert failure == RenderFailure("html line 2, column 22: a filter can't work with this person's value")


def test_a_hang_costs_its_person_and_no_other(renderer):
    rows = [CALM, CALM, HANGING, CALM]
    with Renderer(timeout_s=2) as own:
        started = time.monotonic()
        made = render(own, {"text": HANG}, rows)
        assert made == [{"text": "ok"}, {"text": "ok"}, RenderFailure("it takes too long"), {"text": "ok"}]
        assert time.monotonic() - started < 60


def test_a_template_that_always_hangs_is_given_up():
    with Renderer(timeout_s=0.3) as own:
        started = time.monotonic()
        made = render(own, {"text": HANG}, [HANGING] * 50)
        assert made == [RenderFailure("it takes too long")] * 50
        assert time.monotonic() - started < 60


def test_a_parser_hang_is_a_flaw():
    with Renderer(timeout_s=2) as own:
        survey = own.survey({"html": "{% comment %}" + "{{" * 60_000 + "{% endcomment %}", "text": "{{ a }}"})
        assert "takes too long" in survey["html"].flaws[0].message
        assert not survey["text"].flaws


@pytest.mark.parametrize(
    ("source", "line", "column", "words"),
    [
        ("{{ x", 1, 1, "expected '}}'"),
        ("a\nb{% if %}{% endif %}", 2, 5, "missing expression"),
        ("{% if a %}", 1, None, "endif"),
        ("{% nope %}", 1, 4, "unexpected tag 'nope'"),
        ("{% include 'a' %}", 1, 4, "unexpected tag 'include'"),
        ("{% render 'a' %}", 1, 4, "unexpected tag 'render'"),
        ("{% layout 'a' %}", 1, 4, "unexpected tag"),
        ("{% extends 'a' %}", 1, 4, "unexpected tag"),
        ("{% block a %}{% endblock %}", 1, 4, "unexpected tag"),
        ("{% import 'a' %}", 1, 4, "unexpected tag"),
        ("{% output %}", 1, None, ""),
        ("{% illegal %}", 1, None, ""),
        ("{{ a | nope }}", 1, 8, "no filter “nope”"),
        ("{{ a | safe }}", 1, 8, "no filter “safe”"),
        ("{% assign b = a | nope %}", 1, 19, "no filter"),
        ("{% if a %}\n{% for i in b %}{{ i | nope }}{% endfor %}{% endif %}", 2, 24, "no filter"),
        ("{{ a" + " | upcase" * 11 + " }}", 1, None, "More than 10 filters"),
        ("{{ 'now' | date: '%Y' }}", 1, None, "time of sending"),
        ("{% if a %}" * 31 + "{% endif %}" * 31, 1, None, "nest"),
        ("{{ " + "a[" * 3000 + "}}", 1, None, ""),
        ("{{ a." * 20_000, 1, None, ""),
        ("{{ 1" + "0" * 5000 + " }}", 1, None, ""),
        ("{% case %}{% when %}{% endcase %}", 1, None, ""),
        ("{% liquid\n if a\n nope\n endif %}", 3, None, "nope"),
    ],
)
def test_what_may_not_be_saved_is_a_flaw_with_its_place(renderer, source, line, column, words):
    flaw = renderer.survey({"html": source})["html"].flaws[0]
    assert words in flaw.message
    assert flaw.line == line
    assert column is None or flaw.column == column
    assert len(flaw.message) <= 300


@pytest.mark.parametrize("depth", [2, 100, 600, 900])
def test_deep_expressions_neither_hang_nor_kill(renderer, depth):
    survey = renderer.survey({"html": "{{ " + "a[" * depth + "b" + "]" * depth + " }}"})["html"]
    assert isinstance(survey, Survey)


def test_uses_leave_out_what_the_template_defines(renderer):
    source = (
        "{% assign mine = contact.a %}{{ mine }}{% capture c %}{{ contact.b | default: contact.c }}{% endcapture %}{{ c }}"
        "{% for i in context.items %}{{ i.name }}{{ forloop.index }}{% if i.x == contact['d e'] %}{% endif %}{% endfor %}"
        "{% case contact.f %}{% when campaign.name %}{% endcase %}{% unless workspace.name %}{% endunless %}"
        "{% comment %}{{ contact.no }}{% endcomment %}{% raw %}{{ contact.no }}{% endraw %}{% increment n %}"
        "{% liquid\n echo contact.g\n %}{% for j in (1..contact.h) %}{% endfor %}{% cycle contact.i, 'x' %}"
    )
    survey = renderer.survey({"html": source})["html"]
    assert survey.flaws == ()
    assert {".".join(map(str, use.path)) for use in survey.uses} == {
        *("contact.a", "contact.b", "contact.c", "contact.d e", "contact.f", "contact.g", "contact.h", "contact.i"),
        *("campaign.name", "workspace.name", "context.items"),
    }
    assert {str(bound.path[0]) for bound in survey.binds} == {"mine", "c", "i", "n", "j"}


@pytest.mark.parametrize(
    "source",
    [
        "{{ contact.__class__ }}",
        "{{ contact.x.__class__.__mro__ }}",
        "{{ _context }}",
        "{{ env }}",
        "{{ self }}",
        "{{ contact.items }}",
        "{{ contact.x.upper }}",
        "{{ template }}",
        "{{ partial }}",
    ],
)
def test_nothing_of_python_shows(renderer, source):
    made = one(renderer, source, {"contact": {"x": "y"}})
    assert made in {"", "false"} or isinstance(made, RenderFailure)


def test_rows_that_are_no_json_fail_alone(renderer):
    rows = [{"a": object()}, {"a": 1}, {"a": {1, 2}}, {"a": 10**5000}]
    made = render(renderer, {"text": "{{ a }}"}, rows)
    assert made[1] == {"text": "1"}
    assert all(isinstance(made[i], RenderFailure) for i in (0, 2, 3))


def test_many_rows_come_back_in_order(renderer):
    rows = [{"n": n} for n in range(1203)]
    assert [made["text"] for made in render(renderer, {"text": "{{ n }}"}, rows)] == [str(n) for n in range(1203)]
    assert render(renderer, {"text": "x"}, []) == []


def test_large_requests_do_not_block(renderer):
    rows = [{"x": "é" * 40_000} for _ in range(60)]
    assert all(len(made["html"]) == 40_000 for made in render(renderer, {"html": "{{ x }}"}, rows))


def test_the_child_is_started_again_after_a_death(renderer):
    with Renderer() as own:
        assert one(own, "a") == "a"
        first = own.children()[-1]
        os.kill(first, signal.SIGKILL)
        assert one(own, "b") == "b"
        assert own.children()[-1] != first


def test_rows_that_are_far_too_large_fail_alone(renderer):
    made = render(renderer, {"text": "ok"}, [{"x": "a" * (3 << 20)}] * 5 + [{"x": "a" * (5 << 20)}] + [{}])
    assert [isinstance(each, RenderFailure) for each in made] == [False] * 5 + [True, False]


def test_a_broken_call_leaves_no_answers_behind():
    class Interrupted(BaseException):
        pass

    def interrupt(*_):
        raise Interrupted

    with Renderer() as own:
        assert one(own, "a") == "a"
        previous = signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            with pytest.raises(Interrupted):
                render(own, {"text": HANG}, [HANGING])
        finally:
            signal.signal(signal.SIGALRM, previous)
        assert one(own, "b") == "b"


def test_a_renderer_that_can_not_start_is_nobodys_fault(monkeypatch):
    with Renderer(timeout_s=2) as own:
        assert one(own, "a") == "a"
        monkeypatch.setattr("saas.content.jail.process._CHILD", Path("/nowhere/child.py"))
        with pytest.raises(Unavailable):
            render(own, {"text": HANG}, [CALM, HANGING, CALM])
        with pytest.raises(Unavailable):
            own.survey({"text": "a"})


def test_threads_take_turns(renderer):
    wrong = []

    def work(number):
        wrong.extend(number for _ in range(20) if one(renderer, f"{number}") != str(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_fork_gets_a_child_of_its_own():
    with Renderer() as own:
        assert one(own, "a") == "a"
        renderer_pid = own.children()[-1]
        pid = os.fork()
        if pid == 0:
            try:
                fine = one(own, "b") == "b" and own.children()[-1] != renderer_pid
                own.close()
                os._exit(0 if fine else 1)
            finally:
                os._exit(2)
        assert os.waitpid(pid, 0)[1] == 0
        assert one(own, "c") == "c"
        assert own.children()[-1] == renderer_pid


def test_closing_leaves_no_process():
    own = Renderer()
    assert one(own, "a") == "a"
    pid = own.children()[-1]
    own.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_child_holds_nothing_of_ours(renderer, monkeypatch):
    monkeypatch.setenv("CANARY", "secret")
    with Renderer() as own:
        assert one(own, "a") == "a"
        root = Path(f"/proc/{own.children()[-1]}")
        assert (root / "environ").read_bytes() == b""
        assert sorted(each.name for each in (root / "fd").iterdir()) == ["0", "1", "2"]
        limits = (root / "limits").read_text()
        assert "Max address space         314572800" in limits
        assert "Max open files            3 " in limits
        seccomp = next(line for line in (root / "status").read_text().splitlines() if line.startswith("Seccomp:"))
        assert own.jail == ("limits+seccomp" if seccomp.split()[1] == "2" else "limits")


PROBE = """
import json, os, runpy, socket, sys
child = runpy.run_path(sys.argv[1])
child["warm"]()
if child["shut"]() != "limits+seccomp":
    os.write(1, b"[]")
    os._exit(0)
def refused(call):
    try:
        call()
    except PermissionError:
        return True
    except OSError:
        return False
    return False
calls = [
    lambda: open("/etc/passwd"), lambda: socket.socket(), os.fork, lambda: os.execv("/bin/true", ["true"]),
    lambda: os.kill(os.getppid(), 0), lambda: os.listdir("/"), lambda: os.mkdir("/tmp/x"), lambda: os.dup(1),
]
os.write(1, json.dumps([refused(call) for call in calls]).encode())
os._exit(0)
"""


def test_the_jail_refuses_what_is_not_rendering():
    import json
    import subprocess

    done = subprocess.run([sys.executable, "-c", PROBE, child.__file__], capture_output=True, timeout=120, check=True)
    refused = json.loads(done.stdout)
    if not refused:
        pytest.skip("system calls are filtered on x86-64 Linux only")
    assert all(refused), refused


def test_the_child_ends_with_its_parent():
    import subprocess

    code = (
        "import os, sys; from saas.content.jail.renderer import Renderer; r = Renderer(); r.plan({'text': 'a'});"
        "print(r.children()[-1], flush=True); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120, check=True, text=True)
    pid = int(done.stdout)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the child lives on")
