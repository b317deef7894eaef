"""Where an approval stands: who has signed what counts, what is missing, who may decide now (R13, U3). Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from uuid import UUID

from saas.campaigns.rules.policy import Requirement, Stage
from saas.campaigns.types import Order
from saas.permissions.types import Role


@dataclass(frozen=True, slots=True)
class Signature:
    """An approval that was given. signer: an account, or an outside approver."""

    approval_id: UUID
    signer: UUID


@dataclass(frozen=True, slots=True)
class People:
    """Who may approve here now: accounts with their roles, and outside approvers whose address is confirmed."""

    roles: Mapping[UUID, frozenset[Role]] = field(default_factory=dict)
    outside: frozenset[UUID] = frozenset()

    def without(self, outside: AbstractSet[UUID]) -> "People":
        """Return the same without some of the outside approvers."""
        return People(self.roles, self.outside - outside)

    @property
    def all(self) -> frozenset[UUID]:
        """Return everybody whose signature could count."""
        return frozenset(self.roles) | self.outside


@dataclass(frozen=True, slots=True)
class Missing:
    """What a stage still needs. place: the stage, from 0. candidates: who could give it, whether or not yet."""

    place: int
    count: int
    candidates: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Standing:
    """counted: the approvals that fill the requirement so far. may_decide: who could sign next with effect."""

    counted: tuple[UUID, ...]
    missing: tuple[Missing, ...]
    may_decide: frozenset[UUID]

    @property
    def complete(self) -> bool:
        """Say whether everybody who is needed has signed."""
        return not self.missing


def standing(
    asked: Requirement, signatures: Sequence[Signature], editors: AbstractSet[UUID], people: People
) -> Standing:
    """Say where an approval stands.

    A signature counts while its signer may still approve and has not edited; one person fills one place. Places are
    filled so that as many as possible are, earlier stages and earlier signatures first, whatever the order of signing.
    """
    able = people.all - editors
    given = [signature for signature in signatures if signature.signer in able]
    places = _places(asked.stages)
    taken = _match(places, [signature.signer for signature in given], asked.stages, people)
    counted = tuple(given[index].approval_id for _, index in sorted(taken.items()))
    waiting = able - {signature.signer for signature in given}
    return Standing(
        counted=counted,
        missing=_missing(asked, places, taken, able, people),
        may_decide=frozenset(each for each in waiting if _helps(asked, given, each, people)),
    )


def unmeetable(asked: Requirement, editors: AbstractSet[UUID], people: People) -> tuple[Missing, ...]:
    """Return the stages that could not be filled even if everybody signed who may; empty when all could."""
    able = people.all - editors
    places = _places(asked.stages)
    taken = _match(places, sorted(able), asked.stages, people)
    return _missing(asked, places, taken, able, people)


def fits(stage: Stage, signer: UUID, people: People) -> bool:
    """Say whether a stage asks for this person."""
    if stage.open_to_all:
        return signer in people.roles
    if signer in stage.accounts or signer in stage.outside:
        return True
    return stage.role is not None and stage.role in people.roles.get(signer, ())


def _helps(asked: Requirement, given: Sequence[Signature], candidate: UUID, people: People) -> bool:
    """Say whether one more signature of this person would fill a place that is open now."""
    stages = _open_stages(asked, given, people)
    places, signers = _places(stages), [signature.signer for signature in given]
    before = len(_match(places, signers, stages, people))
    return len(_match(places, [*signers, candidate], stages, people)) > before


def _open_stages(asked: Requirement, given: Sequence[Signature], people: People) -> tuple[Stage, ...]:
    """Return the stages up to the one whose turn it is; all of them where they do not wait for each other."""
    if asked.order is Order.AT_ONCE:
        return asked.stages
    signers = [signature.signer for signature in given]
    for end in range(1, len(asked.stages)):
        stages = asked.stages[:end]
        places = _places(stages)
        if len(_match(places, signers, stages, people)) < len(places):
            return stages
    return asked.stages


def _places(stages: Sequence[Stage]) -> list[int]:
    """Return for each signature that is needed the stage that it is for."""
    return [number for number, stage in enumerate(stages) for _ in range(stage.needed)]


def _match(places: Sequence[int], signers: Sequence[UUID], stages: Sequence[Stage], people: People) -> dict[int, int]:
    """Return which place is filled by which signer, by their indexes: a largest matching, by augmenting paths."""
    taken: dict[int, int] = {}
    used: set[UUID] = set()
    for index, signer in enumerate(signers):
        if signer not in used and _seat(index, places, signers, stages, people, taken, set()):
            used.add(signer)
    return taken


def _seat(
    index: int,
    places: Sequence[int],
    signers: Sequence[UUID],
    stages: Sequence[Stage],
    people: People,
    taken: dict[int, int],
    tried: set[int],
) -> bool:
    for place, stage in enumerate(places):
        if place in tried or not fits(stages[stage], signers[index], people):
            continue
        tried.add(place)
        if place not in taken or _seat(taken[place], places, signers, stages, people, taken, tried):
            taken[place] = index
            return True
    return False


def _missing(
    asked: Requirement, places: Sequence[int], taken: Collection[int], able: Iterable[UUID], people: People
) -> tuple[Missing, ...]:
    found = []
    for number, stage in enumerate(asked.stages):
        count = sum(1 for place, of in enumerate(places) if of == number and place not in taken)
        if count:
            candidates = frozenset(each for each in able if fits(stage, each, people))
            found.append(Missing(number, count, candidates))
    return tuple(found)
