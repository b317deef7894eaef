"""What the benchmarks say of their numbers."""

import json
import shutil

import pytest
from rich.console import Console

from bench import report, smtp_tools
from bench.go_programs import in_go
from bench.mail import HTML_BYTES, LINKS, liquid_content, merge_content
from bench.measure import in_turns, percentile
from bench.result import Result, at_least, at_most, compare, limit, not_run


def test_a_ratio_is_the_median_of_the_repeats_ratios():
    line = compare("x", [10, 20, 90], [10, 10, 10], unit="msg/s", goal=at_least(1.5), against="y")
    assert (line.ratio, line.ours, line.verdict) == (2, 20, "pass")
    # The ratio of the medians would be 4.
    assert compare("x", [1, 4, 4], [1, 1, 4], unit="s", goal=None, against="y").ratio == 1


@pytest.mark.parametrize(
    ("goal", "ratio", "met"),
    [
        (at_least(0.6), 0.6, True),
        (at_least(0.6), 0.594, False),
        (at_most(1.15), 1.154, True),
        (at_most(1.15), 1.16, False),
    ],
)
def test_goals(goal, ratio, met):
    assert goal.met(ratio) is met


def test_ways_are_done_in_turns_and_every_second_round_backwards():
    order = []
    ways = {name: lambda name=name: order.append(name) or len(order) for name in "abc"}
    assert in_turns(2, ways) == {"a": [1, 6], "b": [2, 5], "c": [3, 4]}
    assert order == list("abccba")


def test_percentiles_are_values_that_occurred():
    values = list(range(1, 101))
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.99) == 7.0


def test_the_quick_runs_last_line():
    results = [
        Result("send", [compare("s", [6.0], [10.0], unit="", goal=None, against="", key="send")]),
        Result("render", [compare("r", [123.456], [1.0], unit="", goal=None, against="", key="render")]),
        Result("import", [not_run("i", "why")]),
    ]
    assert report.quick_line(results) == (
        "bench: send_vs_smtp_source=0.60 render_vs_emailmessage=123.46 import_vs_copy=- segment_vs_sql=- trigger_vs_noop=-"
    )


def test_the_report_holds_every_repeat(tmp_path):
    result = Result("send", [limit("jobs", 3.0, 2.0, unit="jobs")], {"jobs": [3, 3, 4]})
    report.write(tmp_path / "out.json", [result], seen=report.machine())
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["jobs"]["send"]["raw"] == {"jobs": [3, 3, 4]}
    assert found["jobs"]["send"]["lines"][0]["verdict"] == "miss"
    assert found["machine"]["cores"] >= 1
    with (tmp_path / "table").open("w") as out:
        report.show(Console(file=out, width=120), [result])
    assert "0 of 1 goals met" in (tmp_path / "table").read_text()


def test_the_message_is_as_large_as_it_says():
    content = merge_content()
    assert abs(len(content.html) - HTML_BYTES) < 100
    assert content.html.count("https://shop.") == LINKS
    assert {content.html.count(f"contact.{name} ") for name in ("first_name", "last_name", "plan")} == {1}


def test_gos_template_holds_nothing_of_liquid():
    made = in_go(liquid_content().html)
    assert "{%" not in made
    assert "contact." not in made
    assert made.count("TrackLink") == LINKS


def test_missing_programs_are_named_with_the_command_to_install_them(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_args, **_named: None)
    with pytest.raises(smtp_tools.Missing, match=r"apt-get install -y --no-install-recommends postfix"):
        smtp_tools.check()
