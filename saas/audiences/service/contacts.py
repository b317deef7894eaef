"""Save a batch of contacts (interfaces.md 2.10)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.lists import list_in
from saas.audiences.rules.batch import read_contact
from saas.audiences.rules.rows import Person
from saas.audiences.service.people import API, Saved, Source, outcomes, save_people, write_down
from saas.audiences.types import Outcome
from saas.kernel.errors import Fault
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor

_TOO_LARGE: Final = Fault("/attributes", "With what is known already this would be too much. Nothing was changed here.")
_LOST_ID: Final = Fault("/external_id", "This id belongs to another contact. It was left out.")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one contact of the batch. Faults beside another outcome than invalid are values left out."""

    index: int
    status: Outcome
    contact_id: UUID | None = None
    faults: tuple[Fault, ...] = ()


def save_batch(
    session: Session,
    *,
    actor: Actor,
    contacts: Sequence[Mapping[str, Any]],
    list_ids: Sequence[UUID],
    address_hash: Callable[[str], bytes],
    now: datetime,
) -> list[Result]:
    """Create or update contacts, each by its address, and put them on lists. Of one address, the last item wins.

    Who works in some projects only must name lists of theirs. Raises NotFound, LacksRight.
    """
    for list_id in list_ids:
        row = list_in(session, list_id, actor=actor)
        require(actor, Action.CONTACT_WRITE, row.project_id)
    if not list_ids:
        require(actor, Action.CONTACT_WRITE)
    kinds = attribute_kinds(session)
    read = [read_contact(item, row=index, kinds=kinds) for index, item in enumerate(contacts)]
    last = {item.key: item for item in read if isinstance(item, Person)}
    people = sorted(last.values(), key=lambda person: person.row)
    if not people:
        return [Result(index, Outcome.INVALID, faults=tuple(_faults(item))) for index, item in enumerate(read)]
    sheet = write_down(people, address_hash=address_hash)
    saved = save_people(session, sheet=sheet, source=Source(API), list_ids=sorted(set(list_ids)), now=now)
    return _results(read, last, saved, outcomes(session, now=now))


def _results(
    read: Sequence[Person | list[Fault]],
    last: Mapping[str, Person],
    saved: Saved,
    became: Mapping[str, tuple[Outcome, UUID]],
) -> list[Result]:
    notes: dict[int, list[Fault]] = {row: [_TOO_LARGE] for row in saved.too_large}
    for row, _ in saved.lost_ids:
        notes.setdefault(row, []).append(_LOST_ID)
    for row, topic, _ in saved.kept_withdrawn:
        kept = Fault(f"/consents/{topic}", "This person unsubscribed, and stays so.")
        notes.setdefault(row, []).append(kept)
    results = []
    for index, item in enumerate(read):
        if not isinstance(item, Person):
            results.append(Result(index, Outcome.INVALID, faults=tuple(item)))
            continue
        row = last[item.key].row
        outcome, contact_id = became[item.key]
        results.append(Result(index, outcome, contact_id, tuple(notes.get(row, ()))))
    return results


def _faults(item: Person | list[Fault]) -> list[Fault]:
    return item if isinstance(item, list) else []
