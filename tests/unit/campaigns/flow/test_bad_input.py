"""Whatever is sent as a draft is refused with its place, or can be judged, drawn, copied and stored (issue 5, S43)."""

import json
from copy import deepcopy
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from saas.campaigns.rules.copies import copied
from saas.campaigns.rules.draft import missing
from saas.campaigns.rules.flow.shape import shape_of
from saas.campaigns.rules.starts import switched
from saas.campaigns.schemas.campaigns import DraftIn
from saas.campaigns.steps.registry import KINDS
from saas.campaigns.types import CampaignKind
from saas.web.campaigns.outline import outline_of
from tests import drafts
from tests.drafts import every_kind, message
from tests.tally import size

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def loaded(draft):
    return DraftIn().load({"draft": deepcopy(draft)})["draft"]


def judged(draft, kind):
    return missing(draft, kind=CampaignKind(kind), marketing=True, now=NOW)


def shown(outline):
    """The steps of an outline, in order."""
    left, found = [outline.way, *(way for _, way in outline.deeper), *outline.loose], []
    while left:
        for stop in left.pop(0).stops:
            found += stop.steps
            left += [each.way for each in stop.exits]
    return found


def test_the_drafts_that_are_spoiled_here_lack_nothing_and_hold_every_kind():
    kinds = set()
    for kind in CampaignKind:
        draft = loaded(every_kind(kind.value))
        assert judged(draft, kind) == []
        kinds |= {step["kind"] for step in draft["steps"]}
    assert kinds == set(KINDS)


@pytest.mark.parametrize("kind", [kind.value for kind in CampaignKind])
@settings(max_examples=2 * size("spoiled_drafts"))
@given(st.data())
def test_any_draft_is_refused_with_its_place_or_judged(kind, data):
    given_draft = data.draw(drafts.spoiled(every_kind(kind)))
    try:
        draft = loaded(given_draft)
    except ValidationError:
        return
    for fault in judged(draft, kind):
        at = draft
        for part in fault.pointer.split("/")[1:]:
            if not isinstance(at, dict | list) or (isinstance(at, dict) and part not in at):
                break  # what is pointed at is missing: that is the fault
            assert isinstance(at, dict) or int(part) < len(at), f"{fault.pointer} leads nowhere"
            at = at[part] if isinstance(at, dict) else at[int(part)]
    stored = json.dumps(draft, allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in stored
    stored.encode()
    shape = shape_of(draft)
    assert sorted(shown(outline_of(shape))) == sorted(shape.nodes)
    copied(draft, zone="Europe/Oslo", now=NOW)
    for other in CampaignKind:
        assert loaded(switched(draft, kind=other))["steps"] is not None


def test_four_hundred_levels_are_judged_and_drawn_without_end():
    steps = [
        {"step_no": no, "kind": "condition", "name": f"C{no}", "rule": {"all": []}, "next": {"yes": [no + 1]}}
        for no in range(1, 400)
    ]
    draft = loaded(every_kind("flowing") | {"steps": [*steps, message(400)]})
    assert judged(draft, "flowing") == []
    assert len(shown(outline_of(shape_of(draft)))) == 400
    rule = {"all": []}
    for _ in range(400):
        rule = {"not": rule}
    draft["steps"][0]["rule"] = rule
    with pytest.raises(ValidationError, match="nested"):
        loaded(draft)
