"""What the API tests of audiences share: a list, a few people, and the import worker."""

from typing import Any

from saas.audiences.jobs import import_handler
from saas.audiences.types import IMPORT_FILE
from saas.kernel.clock import SystemClock
from saas.permissions.types import Role
from saas.platform.agenda.types import Kinds
from saas.platform.agenda.work import Doer, work_once
from saas.platform.secrets.service import Vault
from tests.worlds import Client, Place, World


def new_list(client: Client, place: Place, name: str = "Customers") -> dict[str, Any]:
    answer = client.post("/lists", {"name": name, "project_id": place.prj})
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def save(client: Client, *contacts: dict[str, Any], lists: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    answer = client.post("/contacts:batch", {"contacts": list(contacts), "list_ids": list(lists)})
    assert answer.status_code == 200, answer.text
    return answer.get_json()["results"]


def new_audience(client: Client, place: Place, list_id: str, **changes: Any) -> dict[str, Any]:
    body = {"name": "Everybody", "project_id": place.prj, "list_id": list_id, "rule": {"all": []}} | changes
    answer = client.post("/audiences", body)
    assert answer.status_code == 201, answer.text
    return answer.get_json()


def do_imports(world: World) -> None:
    """Do all imports that wait, as the maintenance worker does them."""
    clock = SystemClock()
    kinds = Kinds({IMPORT_FILE: import_handler(world.engine, Vault(b"k" * 32), clock, at_once=8)})
    doer = Doer(world.engine, kinds, clock, ring=lambda _queue: None, leaving=lambda: False)
    while work_once(doer, IMPORT_FILE.queue):
        pass


def refused(world: World, method: str, path: str, body: Any = None, *, allowed: tuple[Role, ...]) -> None:
    """Everybody is turned away from a path of workspace a but who may: nobody 401, a stranger 404, others 403."""
    kwargs = {} if body is None else {"json": body}
    assert world.nobody(world.a).call(method, path, **kwargs).status_code == 401
    stranger = world.client(world.b, Role.ADMIN)
    stranger.workspace = world.a.wsp
    assert stranger.call(method, path, **kwargs).status_code == 404
    for role in Role:
        if role not in allowed:
            answer = world.client(world.a, role).call(method, path, **kwargs)
            assert answer.status_code == 403, (role, answer.text)
            assert answer.get_json()["code"] == "lacks_right"
