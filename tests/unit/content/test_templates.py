"""What a template may read and name."""

from saas.content.rules import templates
from saas.content.types import Flaw, Survey, Use

KNOWN = frozenset({"contact.email", "contact.first_name", "context.*", "campaign.name", "unsubscribe_url"})


def judged(*paths):
    return templates.judge(Survey(uses=tuple(Use(path, 1, 4) for path in paths)), known=KNOWN)


def test_used_fields_are_reported_once_and_as_deep_as_they_are_stored():
    verdict = judged(
        ("contact", "email"),
        ("contact", "email", "size"),
        ("context", "order", "total"),
        ("context", "order", 0),
        ("unsubscribe_url",),
        ("unsubscribe_url", "size"),
    )
    assert verdict == templates.Verdict(frozenset({"contact.email", "context.order", "unsubscribe_url"}), ())


def test_unknown_names_are_flaws_with_their_place_and_a_hint():
    (flaw,) = judged(("contact", "frist_name")).flaws
    assert (flaw.line, flaw.column) == (1, 4)
    assert "Is contact.first_name meant?" in flaw.message


def test_incomplete_and_computed_names_are_flaws():
    messages = [
        flaw.message
        for flaw in judged(("contact",), ("context",), ("contact", ("a",)), (("a",),), ("now",), ("contact", 1)).flaws
    ]
    assert len(messages) == 6
    assert "Say which field" in messages[0]
    assert "computed" in messages[2]


def test_fixed_names_can_not_be_given_another_meaning():
    survey = Survey(
        binds=tuple(Use((name,), 2, 3) for name in ("click_url", "open_url", "unsubscribe_url", "contact", "mine"))
    )
    assert len(templates.judge(survey, known=KNOWN).flaws) == 4


def test_the_parsers_flaws_come_first():
    flaw = Flaw(9, 9, "syntax")
    assert templates.judge(Survey(flaws=(flaw,)), known=KNOWN).flaws == (flaw,)


def test_sizes_count_bytes():
    assert not templates.too_large("a" * 128 * 1024)
    assert templates.too_large("a" * (128 * 1024 + 1))
    assert templates.too_large("é" * (64 * 1024 + 1))
    assert not templates.too_large("\ud800")
