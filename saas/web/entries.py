"""What the frame around pages is made of: lines of menus, workspaces, who is signed in, the present time."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the navigation or of the workspace switcher."""

    key: str
    label: str
    href: str
    icon: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """A workspace as the switcher shows it."""

    id: str
    name: str
    href: str
    letters: str
    colour: str


@dataclass(frozen=True, slots=True)
class Account:
    """Who is signed in."""

    account_id: UUID
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Present:
    """The workspace's own time, as it stands below the navigation."""

    iso: str
    text: str
    zone: str
