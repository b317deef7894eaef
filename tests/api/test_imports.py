"""Imports by API."""

import io
import json

import pytest

from saas.permissions.types import Role
from tests.api.audience_parts import do_imports, new_list, refused

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("empty_agenda")]
CONTENT = b"E-mail,First name,Colour\nann@example.com,Ann,red\nnobody,=1+1,blue\n"


def upload(client, list_id, content=CONTENT, query="", **kwargs):
    headers = {"Content-Type": "text/csv", **kwargs.pop("headers", {})}
    path = f"/imports?list_id={list_id}&file_name=people.csv{query}"
    return client.call("POST", path, data=content, headers=headers, **kwargs)


@pytest.fixture
def list_id(world):
    return new_list(world.key(world.a), world.a)["list_id"]


def test_who_may(world, list_id):
    row = upload(world.key(world.a), list_id).get_json()
    do_imports(world)
    path = f"/imports/{row['import_id']}"
    refused(world, "POST", f"/imports?list_id={list_id}", allowed=(Role.ADMIN, Role.MANAGER))
    refused(world, "POST", f"{path}/cancel", allowed=(Role.ADMIN, Role.MANAGER))
    refused(world, "GET", f"{path}/errors", allowed=(Role.ADMIN, Role.MANAGER, Role.APPROVER))
    refused(world, "GET", path, allowed=(Role.ADMIN, Role.MANAGER, Role.APPROVER, Role.VIEWER))
    other = world.key(world.b)
    assert upload(other, list_id).status_code == 404
    assert other.get(path).status_code == other.get(f"{path}/errors").status_code == 404
    assert other.post(f"{path}/cancel").status_code == 404
    assert other.get("/imports").get_json()["data"] == []


def test_from_upload_to_error_file(world, list_id):
    manager = world.client(world.a, Role.MANAGER)
    answer = upload(manager, list_id)
    assert answer.status_code == 202
    row = answer.get_json()
    path = f"/imports/{row['import_id']}"
    assert answer.headers["Location"] == f"/api/v1{path}"
    assert (row["state"], row["size_bytes"], row["done_bytes"], row["columns"]) == ("queued", len(CONTENT), 0, [])
    assert manager.get(f"{path}/errors").status_code == 404
    do_imports(world)
    row = manager.get(path).get_json()
    assert (row["state"], row["failure"], row["encoding"], row["delimiter"]) == ("done", None, "utf-8", ",")
    assert row["counts"] == {
        "rows": 2, "invalid": 1, "duplicates": 0, "contacts": 1, "created": 1, "updated": 0, "unchanged": 0,
        "kept_withdrawn": 0, "warnings": 0,
    }  # fmt: skip
    assert [(column["header"], column["target"]) for column in row["columns"]] == [
        ("E-mail", "email"), ("First name", "attribute:first_name"), ("Colour", None),
    ]  # fmt: skip
    assert row["done_bytes"] == row["size_bytes"] and row["has_errors"]
    errors = manager.get(f"{path}/errors")
    assert errors.mimetype == "text/csv"
    assert errors.headers["Content-Disposition"] == f'attachment; filename="errors-{row["import_id"]}.csv"'
    assert errors.headers["X-Content-Type-Options"] == "nosniff"
    assert errors.get_data(as_text=True).splitlines()[1].startswith("3,E-mail,nobody,")
    assert manager.get("/imports").get_json()["data"][0]["import_id"] == row["import_id"]
    assert manager.post(f"{path}/cancel").get_json()["code"] == "import_is_over"


def test_as_a_form(world, list_id):
    client = world.client(world.a, Role.MANAGER)
    data = {"file": (io.BytesIO(CONTENT), "../../etc/people.csv")}
    answer = client.call("POST", f"/imports?list_id={list_id}", data=data, content_type="multipart/form-data")
    assert (answer.status_code, answer.get_json()["size_bytes"]) == (202, len(CONTENT))
    none = client.call("POST", f"/imports?list_id={list_id}", data={"x": "y"}, content_type="multipart/form-data")
    assert none.get_json()["errors"][0]["pointer"] == "/file"


@pytest.mark.parametrize("who", ["person", "key"])
def test_files_larger_than_other_bodies_may_be(world, list_id, who):
    client = world.key(world.a) if who == "key" else world.client(world.a, Role.MANAGER)
    large = b"E-mail,Note\n" + b"ann@example.com,%s\n" % (b"x" * 1000) * 9000
    answer = upload(client, list_id, large)
    assert (answer.status_code, answer.get_json()["size_bytes"]) == (202, len(large))
    form = client.call(
        "POST",
        f"/imports?list_id={list_id}",
        data={"file": (io.BytesIO(large), "a.csv")},
        content_type="multipart/form-data",
    )
    assert (form.status_code, form.get_json()["size_bytes"]) == (202, len(large))
    assert client.post("/lists", {"name": "x" * 9_000_000, "project_id": world.a.prj}).status_code == 413


def test_the_same_key_imports_once(world, list_id):
    client = world.key(world.a)
    answers = [upload(client, list_id, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].get_json() == answers[1].get_json()
    assert answers[0].get_json()["size_bytes"] == len(CONTENT)
    assert upload(client, list_id, b"other", headers={"Idempotency-Key": "once"}).status_code == 422
    assert len(client.get("/imports").get_json()["data"]) == 1


def test_mapping_encoding_and_delimiter_as_asked(world, list_id):
    client = world.key(world.a)
    mapping = json.dumps({"Почта": "email", "Цвет": "attribute:colour", "Да": "consent:news"})
    content = "Почта|Цвет|Да|Прочее\nann@example.com|синий|yes|x\n".encode("cp1251")
    answer = client.call(
        "POST", "/imports", data=content,
        query_string={"list_id": list_id, "mapping": mapping, "encoding": "windows-1251", "delimiter": "|"},
        headers={"Content-Type": "text/csv"},
    )  # fmt: skip
    assert answer.status_code == 202, answer.text
    do_imports(world)
    assert client.get(f"/imports/{answer.get_json()['import_id']}").get_json()["state"] == "done"
    (person,) = client.get("/contacts?email=ann@example.com").get_json()["data"]
    assert (person["attributes"], person["consents"]) == ({"colour": "синий"}, {"news": "given"})


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("&mapping=x", "/mapping"), ("&mapping=[]", "/mapping"), ('&mapping={"a":"b"}', "/mapping"),
     ("&encoding=rot13", "/encoding"), ("&delimiter=x", "/delimiter")],
)  # fmt: skip
def test_what_cannot_be_asked(world, list_id, query, pointer):
    answer = upload(world.key(world.a), list_id, query=query)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.get_json()["errors"]] == [pointer]


def test_an_empty_body_and_one_that_is_too_large(world, list_id):
    client = world.key(world.a)
    assert upload(client, list_id, b"").status_code == 422
    limit = client.http.application.extensions["countersign"].settings.import_max_bytes
    too_much = {"CONTENT_LENGTH": str(limit + 2 * 1024 * 1024)}
    answer = client.call("POST", f"/imports?list_id={list_id}", data=b"x", environ_overrides=too_much)
    assert answer.status_code == 413


def test_cancel_before_it_began(world, list_id):
    client = world.key(world.a)
    row = upload(client, list_id).get_json()
    answer = client.post(f"/imports/{row['import_id']}/cancel")
    assert (answer.status_code, answer.get_json()["state"]) == (200, "cancelled")
    do_imports(world)
    assert client.get("/contacts").get_json()["data"] == []
