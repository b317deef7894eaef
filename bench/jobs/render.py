"""Making a message: the product's way against Python's EmailMessage, in one process, without database and network."""

import secrets
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from uuid import UUID, uuid4

from bench.context import Context
from bench.mail import merge_content
from bench.measure import in_turns
from bench.rendering import product_renderer
from bench.result import Result, at_least, compare
from saas.kernel.clock import monotonic

_PEOPLE_AT_ONCE = 500
_SLOW_ONE_IN = 20


def run(context: Context) -> Result:
    """Make messages in turns."""
    people = context.sizes.rendered
    slow = max(50, people // _SLOW_ONE_IN)
    content = merge_content()
    with product_renderer(content, tenant_id=uuid4()) as render:
        render(_rows(1))
        ways: dict[str, Callable[[], float]] = {
            "ours": partial(_rate, render, people),
            "email_message": partial(_rate, partial(_plainly, content.html, content.text), slow),
        }
        found = in_turns(context.sizes.repeats, ways)
    line = compare(
        "merge-field message", found["ours"], found["email_message"], unit="msg/s", goal=at_least(50),
        against="EmailMessage.as_bytes", key="render",
    )  # fmt: skip
    return Result("render", [line], found)


def _rate(render: Callable[[Sequence[dict[str, str]]], int], people: int) -> float:
    rows = [_rows(_PEOPLE_AT_ONCE) for _ in range(max(1, people // _PEOPLE_AT_ONCE))]
    started = monotonic()
    made = sum(render(some) for some in rows)
    if made != len(rows) * len(rows[0]):
        raise ValueError("not every message was made")
    return made / (monotonic() - started)


def _rows(count: int) -> list[dict[str, str]]:
    return [
        {
            "first_name": f"Name{number}",
            "last_name": "Berg",
            "city": "Oslo",
            "plan": "gold",
            "email": f"n{number}@example.org",
        }
        for number in range(count)
    ]


def _plainly(html: str, text: str, rows: Sequence[dict[str, str]]) -> int:
    """Make each message as a program does that uses the standard library: fields replaced, the tree built, encoded."""
    for row in rows:
        message = EmailMessage(policy=SMTP)
        message["From"] = "Northwind Club <club@news.northwind.example>"
        message["To"] = row["email"]
        message["Subject"] = f"Hello {row['first_name']}, autumn has arrived"
        message["Message-ID"] = f"<{secrets.token_hex(16)}@news.northwind.example>"
        message["List-Unsubscribe"] = "<https://t.example.com/u/1>"
        message.set_content(_filled(text, row))
        message.add_alternative(_filled(html, row), subtype="html")
        message.as_bytes()
    return len(rows)


def _filled(source: str, row: dict[str, str]) -> str:
    for name, value in row.items():
        source = source.replace(f"{{{{ contact.{name} }}}}", value)
    return source.replace("{{ unsubscribe_url }}", f"https://t.example.com/u/{UUID(int=7)}")
