"""What every job is given."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from bench.sizes import Sizes
from bench.world import Place, World

Tell = Callable[[str], None]


@dataclass
class Context:
    """The world, how large things are, and where to say what goes on."""

    world: World
    sizes: Sizes
    tell: Tell
    large: tuple[Place, UUID] | None = None

    def large_list(self) -> tuple[Place, UUID]:
        """Return the workspace of the large jobs and its list of `sizes.rows` people; made at the first question."""
        if self.large is None:
            self.tell(f"filling in a workspace of {self.sizes.rows:,} people")
            place = self.world.add_place("large")
            self.large = place, self.world.add_people(place, "all", self.sizes.rows)
            self.world.tidy()
        return self.large
