"""What the isolation matrix needs to know of each part of the API. Whoever adds a route adds its lines here.

FACTORIES: for the name of a URL parameter, a function that makes (or finds) a thing in a place and returns its public
form. Called once for each place and kept (`thing`). The thing's words should hold `CANARY`, which no stranger may ever read.

BODIES: for the endpoint of a route that takes a body, a body that passes its schema, so that a stranger's request gets
as far as looking for the thing. A function is given the world and the place whose ids it may mention.

QUERIES: the same for the query of a route.

EXEMPT: endpoints that are open to the world by nature, each with its reason; they are counted, never silent.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from saas.kernel.ids import show, uuid7
from saas.permissions.types import Role
from tests.worlds import Place, World

CANARY: Final = "canary-7f3b"

Factory = Callable[[World, Place], str]
Body = Callable[[World, Place], Any]

EXEMPT: Final[dict[str, str]] = {
    "static": "files of the build, the same for everybody",
    "api-docs.openapi_json": "the API's description",
    "metrics": "counts of the installation, behind a token of the operator",
}


def _made(world: World, place: Place, path: str, body: Any, key: str) -> str:
    answer = world.client(place, Role.ADMIN).post(path, body)
    assert answer.status_code in {200, 201}, answer.text
    found = answer.get_json()
    return (found["data"][0] if "data" in found else found)[key]


def _account(_: World, place: Place) -> str:
    return show("acc", place.accounts[Role.VIEWER])


def _invitation(world: World, place: Place) -> str:
    line = {"email": f"{CANARY}.{uuid7().hex}@northwind.example", "name": CANARY, "role": "viewer"}
    return _made(world, place, "/invitations", {"invitations": [line]}, "invitation_id")


def _key(world: World, place: Place) -> str:
    body = {"name": CANARY, "role": "viewer", "scopes": ["project:read"]}
    return _made(world, place, "/api-keys", body, "key_id")


def _channel(world: World, place: Place) -> str:
    body = {
        "name": CANARY, "purpose": "marketing", "from_name": CANARY, "from_address": f"{CANARY}@northwind.example",
        "host": "smtp.example.com", "port": 587, "security": "starttls", "username": CANARY, "password": CANARY,
    }  # fmt: skip
    return _made(world, place, "/channels", body, "channel_id")


def _list(world: World, place: Place) -> str:
    body = {"name": f"{CANARY} {uuid7().hex}", "project_id": place.prj, "description": CANARY}
    return _made(world, place, "/lists", body, "list_id")


def _contact(world: World, place: Place) -> str:
    body = {"contacts": [{"email": f"{CANARY}.{uuid7().hex}@northwind.example"}]}
    answer = world.client(place, Role.ADMIN).post("/contacts:batch", body)
    assert answer.status_code == 200, answer.text
    return str(answer.get_json()["results"][0]["contact_id"])


def _import(world: World, place: Place) -> str:
    answer = world.client(place, Role.ADMIN).call(
        "POST",
        f"/imports?list_id={_list(world, place)}&file_name={CANARY}.csv",
        data=f"email\n{CANARY}@northwind.example\n".encode(),
        headers={"Content-Type": "text/csv"},
    )
    assert answer.status_code == 202, answer.text
    return str(answer.get_json()["import_id"])


def _audience(world: World, place: Place) -> str:
    body = {
        "name": f"{CANARY} {uuid7().hex}", "project_id": place.prj, "list_id": _list(world, place),
        "visibility": "public", "rule": {"all": []},
    }  # fmt: skip
    return _made(world, place, "/audiences", body, "audience_id")


def _campaign(world: World, place: Place) -> str:
    body = {
        "name": f"{CANARY} {uuid7().hex}", "project_id": place.prj, "kind": "dated", "purpose": "marketing",
        "description": CANARY,
    }  # fmt: skip
    return _made(world, place, "/campaigns", body, "campaign_id")


def _decision(*_: object) -> Any:
    return {"content_hash": "v1:" + "0" * 64, "comment": "x"}


FACTORIES: dict[str, Factory] = {
    "workspace": lambda _, place: place.wsp,
    "project_id": lambda _, place: place.prj,
    "account_id": _account,
    "invitation_id": _invitation,
    "key_id": _key,
    "channel_id": _channel,
    "list_id": _list,
    "contact_id": _contact,
    "import_id": _import,
    "audience_id": _audience,
    "campaign_id": _campaign,
    "no": lambda *_: "1",
    "step_no": lambda *_: "1",
}

_MADE: Final[dict[tuple[str, str], str]] = {}


def thing(world: World, place: Place, parameter: str) -> str:
    """Return the place's thing for a URL parameter, made once. Raises KeyError for a parameter that nobody entered."""
    at = (parameter, place.wsp)
    if at not in _MADE:
        _MADE[at] = FACTORIES[parameter](world, place)
    return _MADE[at]


# What an id of nothing looks like, by parameter; parameters that are no ids (numbers of a thing above) keep their value.
PREFIXES: dict[str, str] = {
    "workspace": "wsp",
    "project_id": "prj",
    "account_id": "acc",
    "invitation_id": "inv",
    "key_id": "key",
    "channel_id": "chn",
    "list_id": "lst",
    "contact_id": "ctc",
    "import_id": "imp",
    "audience_id": "aud",
    "campaign_id": "cam",
    "file_id": "fil",
}

BODIES: dict[str, Body] = {
    "accounts.make_key": lambda _, place: {
        "name": "x", "role": "viewer", "scopes": ["project:read"], "project_id": place.prj,
    },
    "tenants.update_workspace": lambda *_: {"name": "x"},
    "tenants.create_project": lambda *_: {"name": f"x {uuid7().hex}"},
    "tenants.rename_project": lambda *_: {"name": f"x {uuid7().hex}"},
    "tenants.change_role": lambda _, place: {"role": "viewer", "project_id": None},
    "tenants.invite": lambda _, place: {
        "invitations": [{"email": "x@northwind.example", "role": "viewer", "project_id": place.prj}]
    },
    "audiences.create_list": lambda _, place: {"name": f"x {uuid7().hex}", "project_id": place.prj},
    "audiences.change_list": lambda *_: {"name": f"x {uuid7().hex}"},
    "audiences.save_contacts": lambda world, place: {
        "contacts": [{"email": "x@northwind.example"}], "list_ids": [thing(world, place, "list_id")],
    },
    "audiences.create_audience": lambda world, place: {
        "name": f"x {uuid7().hex}", "project_id": place.prj, "list_id": thing(world, place, "list_id"),
        "rule": {"all": []},
    },
    "audiences.change_audience": lambda world, place: {"list_id": thing(world, place, "list_id")},
    "audiences.count_rule": lambda world, place: {"list_id": thing(world, place, "list_id"), "rule": {"all": []}},
    "campaigns.create_campaign": lambda _, place: {
        "name": f"x {uuid7().hex}", "project_id": place.prj, "kind": "dated", "purpose": "marketing",
    },
    "channels.change": lambda *_: {"name": "x"},
    "channels.make_dkim": lambda *_: {"domain": "northwind.example", "selector": f"s{uuid7().hex}", "algorithm": "ed25519"},
    "channels.send_trial": lambda _, place: {"to": place.emails[Role.ADMIN]},
    "campaigns.patch_campaign": lambda *_: {"name": "x"},
    "revisions.save_draft": lambda *_: {"draft": {}},
    **{f"revisions.{name}": _decision for name in ("approve", "publish", "request_changes", "reject", "revoke")},
    "trigger.trigger": lambda *_: {"recipients": [{"email": "x@northwind.example"}]},
}  # fmt: skip

QUERIES: dict[str, Callable[[World, Place], Mapping[str, str]]] = {
    "audiences.start_import": lambda world, place: {"list_id": thing(world, place, "list_id")},
    "audiences.list_lists": lambda _, place: {"project_id": place.prj},
    "audiences.list_contacts": lambda world, place: {"list_id": thing(world, place, "list_id")},
    "audiences.list_audiences": lambda _, place: {"project_id": place.prj},
    "campaigns.list_campaigns": lambda _, place: {"project_id": place.prj},
}
