"""Where an approval stands (R13, U3): quorum, sequence, named people, four eyes, lost rights; against a slow oracle."""

from itertools import permutations
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.campaigns.rules.policy import Requirement, Stage
from saas.campaigns.rules.standing import People, Signature, fits, standing, unmeetable
from saas.campaigns.types import Order
from saas.permissions.types import Role

ANNA, BO, CARL, DINA = (UUID(int=number) for number in (1, 2, 3, 4))
CLIENT = UUID(int=9)
PEOPLE = People(
    {ANNA: frozenset({Role.APPROVER}), BO: frozenset({Role.APPROVER}), CARL: frozenset({Role.ADMIN}),
     DINA: frozenset({Role.ADMIN, Role.APPROVER})},
    frozenset({CLIENT}),
)  # fmt: skip
NONE: frozenset[UUID] = frozenset()


def asks(*stages: Stage, order: Order = Order.AT_ONCE) -> Requirement:
    return Requirement(stages=stages, order=order)


def given_by(*signers: UUID) -> list[Signature]:
    return [Signature(uuid4(), signer) for signer in signers]


def test_r13_one_person_who_did_not_edit():
    start = standing(asks(Stage()), [], frozenset({ANNA}), PEOPLE)
    assert (start.complete, start.may_decide) == (False, {BO, CARL, DINA})
    signed = given_by(BO)
    done = standing(asks(Stage()), signed, frozenset({ANNA}), PEOPLE)
    assert (done.complete, done.counted, done.may_decide) == (True, (signed[0].approval_id,), NONE)


def test_r13_who_edited_never_counts_though_they_signed_before():
    found = standing(asks(Stage()), given_by(ANNA), frozenset({ANNA}), PEOPLE)
    assert (found.complete, found.counted) == (False, ())


def test_r13_a_signature_ends_with_the_right():
    left = People({BO: frozenset({Role.APPROVER})})
    found = standing(asks(Stage(2)), given_by(ANNA, BO), NONE, left)
    assert (len(found.counted), found.missing[0].count, found.may_decide) == (1, 1, NONE)


def test_u3_one_person_fills_one_place():
    found = standing(asks(Stage(2)), given_by(ANNA, ANNA), NONE, PEOPLE)
    assert (len(found.counted), found.missing[0].count) == (1, 1)
    assert ANNA not in found.may_decide


def test_u3_a_person_moves_to_the_stage_where_they_are_needed():
    """Dina is both; whoever signs first, an admin and an approver are enough."""
    asked = asks(Stage(1, role=Role.APPROVER), Stage(1, role=Role.ADMIN))
    for signers in ((DINA, ANNA), (ANNA, DINA), (DINA, CARL), (CARL, DINA)):
        assert standing(asked, given_by(*signers), NONE, PEOPLE).complete
    assert standing(asked, given_by(DINA), NONE, PEOPLE).may_decide == {ANNA, BO, CARL}
    assert not standing(asked, given_by(ANNA, BO), NONE, PEOPLE).complete


def test_u3_stages_in_sequence_wait_for_each_other():
    asked = asks(Stage(1, role=Role.APPROVER), Stage(1, accounts=frozenset({CARL})), order=Order.SEQUENCE)
    assert standing(asked, [], NONE, PEOPLE).may_decide == {ANNA, BO, DINA}
    assert standing(asked, given_by(ANNA), NONE, PEOPLE).may_decide == {CARL}
    assert standing(asked, given_by(ANNA, CARL), NONE, PEOPLE).complete


def test_u8_outside_approvers_count_only_where_they_are_named():
    assert not fits(Stage(), CLIENT, PEOPLE)
    asked = asks(Stage(1, outside=frozenset({CLIENT})))
    assert standing(asked, [], NONE, PEOPLE).may_decide == {CLIENT}
    assert standing(asked, given_by(CLIENT), NONE, PEOPLE).complete
    assert not standing(asked, given_by(CLIENT), NONE, People(PEOPLE.roles)).complete


def test_u3_a_rule_that_can_never_be_met_is_seen():
    assert unmeetable(asks(Stage(4)), NONE, PEOPLE) == ()
    (missing,) = unmeetable(asks(Stage(4)), frozenset({ANNA}), PEOPLE)
    assert (missing.place, missing.count) == (0, 1)
    (gone,) = unmeetable(asks(Stage(1), Stage(1, accounts=frozenset({uuid4()}))), NONE, PEOPLE)
    assert (gone.place, gone.candidates) == (1, NONE)
    assert len(unmeetable(asks(Stage(2, role=Role.ADMIN), Stage(1, accounts=frozenset({DINA}))), NONE, PEOPLE)) == 1


someone = st.sampled_from((ANNA, BO, CARL, DINA, CLIENT))
stages = st.builds(
    Stage, needed=st.integers(1, 2), role=st.sampled_from((None, Role.ADMIN, Role.APPROVER)),
    accounts=st.frozensets(st.sampled_from((ANNA, BO, CARL, DINA)), max_size=2),
    outside=st.sampled_from((NONE, frozenset({CLIENT}))),
)  # fmt: skip
several = st.lists(stages, min_size=1, max_size=2)


def most(stages, signers) -> int:
    """How many places can be filled at most, by trying all ways."""
    places = [stage for stage in stages for _ in range(stage.needed)]
    people = [*dict.fromkeys(signers), *[None] * len(places)]
    ways = permutations(people, len(places))
    return max(sum(who is not None and fits(stage, who, PEOPLE) for stage, who in zip(places, way, strict=True)) for way in ways)  # fmt: skip


@given(several, st.lists(someone, max_size=4), st.frozensets(someone, max_size=2))
def test_u3_as_many_places_are_filled_as_can_be(made, signers, editors):
    able = [signer for signer in signers if signer not in editors]
    signed = given_by(*signers)
    found = standing(asks(*made), signed, editors, PEOPLE)
    filled = most(made, able)
    needed = sum(stage.needed for stage in made)
    assert len(found.counted) == filled
    assert sum(each.count for each in found.missing) == needed - filled
    assert found.complete is (filled == needed)
    by_id = {each.approval_id: each.signer for each in signed}
    assert len({by_id[each] for each in found.counted}) == filled
    assert not {by_id[each] for each in found.counted} & editors
    expected = {each for each in PEOPLE.all - editors - set(able) if most(made, [*able, each]) > filled}
    assert found.may_decide == expected


@given(several, st.permutations((ANNA, BO, CARL, DINA, CLIENT)), st.sampled_from(Order))
def test_u3_whoever_may_decide_brings_it_on_and_it_ends(made, order_of_people, order):
    """Walk on as long as somebody may decide: each signature fills one more place, and nobody is stuck if all could."""
    asked = asks(*made, order=order)
    signed: list[Signature] = []
    while open_to := [each for each in order_of_people if each in standing(asked, signed, NONE, PEOPLE).may_decide]:
        signed += given_by(open_to[0])
        assert len(standing(asked, signed, NONE, PEOPLE).counted) == len(signed)
    if order is Order.AT_ONCE:
        assert standing(asked, signed, NONE, PEOPLE).complete is (unmeetable(asked, NONE, PEOPLE) == ())


@pytest.mark.parametrize("order", list(Order))
def test_nobody_decides_about_what_is_complete(order):
    asked = asks(Stage(1), Stage(1, role=Role.ADMIN), order=order)
    assert standing(asked, given_by(ANNA, CARL), NONE, PEOPLE).may_decide == NONE
