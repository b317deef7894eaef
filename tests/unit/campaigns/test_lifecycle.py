"""Both state machines against an oracle written by hand from architecture.md 6, and against docs/lifecycles.md."""

import re
from itertools import product

import pytest

from saas.campaigns.rules.lifecycle import (
    ASKED_OF_CAMPAIGN,
    ASKED_OF_REVISION,
    CAMPAIGN,
    CLOSED,
    FINAL,
    REVISION,
    SENDING,
    AlreadyStarted,
    NotAllowed,
    campaign_after,
    campaign_before,
    campaign_moves,
    check_may_change,
    is_active,
    revision_after,
    revision_moves,
)
from saas.campaigns.types import CampaignMove, CampaignState, RevisionMove, RevisionState
from saas.kernel.transitions import TransitionTable
from tests.architecture.trees import ROOT

# draft → scheduled → active ↔ paused; scheduled|active|paused → stopping → stopped; active → completed → active
# (extension); scheduled|active → held → scheduled (new time)|active|stopped; final → archived. Beyond that text: a
# scheduled campaign stays scheduled when its next revision is published, a draft that nobody wants can be put away, and
# a held campaign is stopped through `stopping`, like every other.
CAMPAIGN_ORACLE = """
draft      publish     scheduled
scheduled  publish     scheduled
scheduled  start       active
active     pause       paused
paused     resume      active
scheduled  stop        stopping
active     stop        stopping
paused     stop        stopping
stopping   stopped     stopped
active     complete    completed
completed  extend      active
scheduled  hold        held
active     hold        held
held       reschedule  scheduled
held       resume      active
held       stop        stopping
stopped    archive     archived
completed  archive     archived
draft      archive     archived
"""
# What was put away comes back as what it was: the states that lead to `archived`.
BACK = {"draft", "stopped", "completed"}
# editing → in_review → approved → published → superseded; in_review → changes_requested → editing; in_review → editing
# (withdrawn); in_review → rejected (final); approved → editing (any change); approved|published → revoked.
REVISION_ORACLE = """
editing            submit           in_review
in_review          approve          approved
approved           publish          published
published          supersede        superseded
in_review          request_changes  changes_requested
changes_requested  edit             editing
in_review          withdraw         editing
in_review          reject           rejected
approved           edit             editing
approved           revoke           revoked
published          revoke           revoked
"""
PAGE = (ROOT / "docs" / "lifecycles.md").read_text(encoding="utf-8")


def read(oracle: str) -> dict[tuple[str, str], str]:
    lines = [line.split() for line in oracle.strip().splitlines()]
    return {(state, move): after for state, move, after in lines}


CAMPAIGN_LAWFUL, REVISION_LAWFUL = read(CAMPAIGN_ORACLE), read(REVISION_ORACLE)


@pytest.mark.parametrize(("state", "move"), list(product(CampaignState, CampaignMove)))
def test_architecture_6_campaign_moves(state, move):
    expected = CAMPAIGN_LAWFUL.get((state.value, move.value))
    if expected is not None:
        assert campaign_after(state, move).value == expected
        return
    with pytest.raises(NotAllowed) as refused:
        campaign_after(state, move)
    assert refused.value.extra["state"] == state.value
    asked = ("pause", "resume", "stop", "archive")
    possible = {m for (s, m) in CAMPAIGN_LAWFUL if s == state.value and m in asked}
    possible |= {"restore"} if state is CampaignState.ARCHIVED else set()
    assert set(refused.value.extra["allowed_transitions"]) == possible
    assert all(m in refused.value.detail for m in possible)


@pytest.mark.parametrize(("state", "kept"), list(product(CampaignState, (None, *CampaignState))))
def test_an_archived_campaign_comes_back_as_what_it_was_and_nothing_else(state, kept):
    if state is CampaignState.ARCHIVED and kept is not None and kept.value in BACK:
        assert campaign_before(state, CampaignMove.RESTORE, kept) is kept
        assert kept not in SENDING and CAMPAIGN.after(kept, CampaignMove.ARCHIVE) is CampaignState.ARCHIVED
        return
    with pytest.raises(NotAllowed):
        campaign_before(state, CampaignMove.RESTORE, kept)


def test_m12_active_is_what_was_published_and_goes_on():
    active = {state for state in CampaignState if is_active(state)}
    assert active == {CampaignState.SCHEDULED, CampaignState.ACTIVE}


@pytest.mark.parametrize(("state", "move"), list(product(RevisionState, RevisionMove)))
def test_architecture_6_revision_moves(state, move):
    expected = REVISION_LAWFUL.get((state.value, move.value))
    if expected is not None:
        assert revision_after(state, move).value == expected
        return
    with pytest.raises(NotAllowed) as refused:
        revision_after(state, move)
    possible = {m for (s, m) in REVISION_LAWFUL if s == state.value and m not in {"edit", "supersede"}}
    assert set(refused.value.extra["allowed_transitions"]) == possible
    if not possible:
        assert "Nothing can be done" in refused.value.detail or state is RevisionState.CHANGES_REQUESTED


def test_architecture_6_publishing_is_the_only_way_out_of_draft_to_scheduled():
    to_scheduled = {(s, m) for (s, m), after in CAMPAIGN.lawful.items() if after is CampaignState.SCHEDULED}
    assert {m for s, m in to_scheduled if s is CampaignState.DRAFT} == {CampaignMove.PUBLISH}
    assert {s for s, m in to_scheduled if m is not CampaignMove.PUBLISH} == {CampaignState.HELD}


@pytest.mark.parametrize("table", [CAMPAIGN, REVISION])
def test_every_state_and_move_is_used_and_reachable(table):
    states = {s for s, _ in table.lawful} | set(table.lawful.values())
    kinds = (CampaignState, CampaignMove) if table is CAMPAIGN else (RevisionState, RevisionMove)
    assert states == set(kinds[0])
    assert {m for _, m, _ in table.ways()} == set(kinds[1])
    seen, start = set(), next(iter(table.lawful))[0]
    ahead = [start]
    while ahead:
        state = ahead.pop()
        if state not in seen:
            seen.add(state)
            ahead += [to for before, _, to in table.ways() if before is state]
    assert seen == states


def test_final_states_lead_nowhere_but_away():
    for state in FINAL:
        onward = {to for before, _, to in CAMPAIGN.ways() if before is state}
        assert onward <= {CampaignState.ARCHIVED, CampaignState.ACTIVE} or {one.value for one in onward} == BACK
    assert revision_moves(RevisionState.REJECTED) == REVISION.moves(RevisionState.REJECTED) == ()
    assert {CampaignState.ACTIVE} == SENDING


def test_sources_and_moves_agree():
    for table in (CAMPAIGN, REVISION):
        for state, move, _ in table.ways():
            assert state in table.sources(move) and move in table.moves(state)


def test_people_ask_for_what_people_may_ask_for():
    assert campaign_moves(CampaignState.ACTIVE) == (CampaignMove.PAUSE, CampaignMove.STOP)
    assert campaign_moves(CampaignState.DRAFT) == (CampaignMove.ARCHIVE,)
    assert set(campaign_moves(CampaignState.HELD)) == {CampaignMove.RESUME, CampaignMove.STOP}
    assert not {CampaignMove.START, CampaignMove.HOLD, CampaignMove.STOPPED} & set(ASKED_OF_CAMPAIGN)
    assert not {RevisionMove.EDIT, RevisionMove.SUPERSEDE} & set(ASKED_OF_REVISION)


@pytest.mark.parametrize("state", list(CampaignState))
def test_s60_what_could_never_take_effect_is_refused(state):
    for dated, all_begun in product((True, False), repeat=2):
        if state is CampaignState.COMPLETED and dated:
            check_may_change(state, dated=dated, all_begun=all_begun)  # it can be extended (R11)
        elif state in CLOSED:
            with pytest.raises(NotAllowed) as refused:
                check_may_change(state, dated=dated, all_begun=all_begun)
            assert set(refused.value.extra["allowed_transitions"]) == {m.value for m in campaign_moves(state)}
        elif all_begun:
            with pytest.raises(AlreadyStarted):
                check_may_change(state, dated=dated, all_begun=all_begun)
        else:
            check_may_change(state, dated=dated, all_begun=all_begun)


def drawn() -> list[str]:
    return re.findall(r"```mermaid\n(.*?)\n```", PAGE, re.DOTALL)


def test_docs_draw_the_tables_as_they_are():
    assert drawn() == [CAMPAIGN.as_mermaid(CampaignState.DRAFT), REVISION.as_mermaid(RevisionState.EDITING)]
    tables = re.findall(r"(?:^\|.*\|\n)+", PAGE, re.MULTILINE)
    assert [t.rstrip("\n") for t in tables] == [CAMPAIGN.as_table(), REVISION.as_table()]


def test_a_picture_has_a_line_for_each_move_its_start_and_its_ends():
    small = TransitionTable({(RevisionState.EDITING, RevisionMove.SUBMIT): RevisionState.IN_REVIEW})
    assert small.as_mermaid(RevisionState.EDITING).splitlines() == [
        "stateDiagram-v2",
        "    [*] --> editing",
        "    editing --> in_review: submit",
        "    in_review --> [*]",
    ]
