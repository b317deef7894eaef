"""A campaign through the whole product, against smtp-source and against the listmonk model (performance goals 12)."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Any, Final
from uuid import UUID

from bench.campaign_run import Ran, run_campaign
from bench.context import Context
from bench.go_programs import NEEDS_GO, Model, build_model
from bench.installation import RunningProcesses
from bench.mail import liquid_content, merge_content
from bench.measure import in_turns
from bench.message_size import message_bytes, recorder
from bench.result import Line, Result, at_least, at_most, compare, fact, not_run
from bench.smtp_tools import Sent, smtp_sink, smtp_source
from saas.content.types import EmailContent

PROCESSES: Final = ("dispatcher", "sender-bulk", "maintenance")
_MODEL_NOTE: Final = "a model of listmonk's send path, not listmonk"
_LISTMONK_PER_S: Final = 100.0


def run(context: Context) -> Result:
    """Send with each way in turns, and compare."""
    world, sizes = context.world, context.sizes
    people = world.add_people(world.place, "send", sizes.send)
    model = build_model(world, subscribers=sizes.send) if sizes.whole else None
    world.tidy()
    with smtp_sink() as sink, recorder(world.at.home) as recorded:
        world.at.allowed += [sink, recorded[0]]
        channel = world.add_channel(world.place, sink)
        with world.at.running(*PROCESSES) as running:
            size = message_bytes(world, merge_content(), recorded=recorded, running=running)
            context.tell(f"a message has {size:,} bytes; {sizes.send:,} people, {sizes.repeats} repeats")
            ways = _ways(context, running, people=people, channel=channel, sink=sink, size=size, model=model)
            ways["product"]()  # connections, compiled templates and caches of all parts are warm from here on
            found = in_turns(sizes.repeats, ways)
    return Result("send", _lines(found), {name: [asdict(one) for one in all_] for name, all_ in found.items()})


def _ways(
    context: Context,
    running: RunningProcesses,
    *,
    people: UUID,
    channel: UUID,
    sink: int,
    size: int,
    model: Model | None,
) -> dict[str, Callable[[], Any]]:
    messages = context.sizes.send
    ways: dict[str, Callable[[], Any]] = {
        "smtp_source": partial(smtp_source, sink, messages=messages, size=size),
        "product": partial(_send, context, running, people, channel, merge_content()),
    }
    if context.sizes.whole:
        ways["product_liquid"] = partial(_send, context, running, people, channel, liquid_content())
    if model is not None:
        ways["listmonk_model"] = partial(model.send, sink, merge_content(), messages=messages)
        ways["listmonk_model_liquid"] = partial(model.send, sink, liquid_content(), messages=messages)
    return ways


def _send(context: Context, running: RunningProcesses, people: UUID, channel: UUID, content: EmailContent) -> Ran:
    world = context.world
    campaign = world.campaign(world.place, people, channel, content)
    return run_campaign(world, world.place, campaign, people=context.sizes.send, running=running)


def _lines(found: dict[str, list[Any]]) -> list[Line]:
    ours, source = _rates(found["product"]), found["smtp_source"]
    product: list[Ran] = found["product"]
    return [
        compare(
            "merge-field template", ours, _rates(source), unit="msg/s", goal=at_least(0.6, 0.9),
            against="smtp-source -s 10", key="send",
        ),
        *_of_the_whole_run(found),
        compare(
            "sender CPU per message", [ran.sender_cpu_us for ran in product], [sent.cpu_us for sent in source],
            unit="us", goal=at_most(1.0, 0.8), against="smtp-source's CPU",
        ),
        compare(
            "default settings", ours, [_LISTMONK_PER_S] * len(ours), unit="msg/s", goal=None,
            against="listmonk's default limit", note="the same runs: nothing is tuned",
        ),
        fact("start, snapshot and freeze", median(r.seconds - r.from_first_claim_s for r in product), unit="s"),
    ]  # fmt: skip


def _of_the_whole_run(found: dict[str, list[Any]]) -> list[Line]:
    if "product_liquid" not in found:
        return []
    ours, liquid = _rates(found["product"]), _rates(found["product_liquid"])
    source = _rates(found["smtp_source"])
    return [
        _against_model("merge-field template", ours, found.get("listmonk_model"), at_least(3, 4.5)),
        _against_model("Liquid template", liquid, found.get("listmonk_model_liquid"), at_least(2)),
        compare("Liquid template", liquid, source, unit="msg/s", goal=None, against="smtp-source -s 10"),
    ]


def _against_model(name: str, ours: list[float], model: list[Sent] | None, goal: Any) -> Line:
    if model is None:
        return not_run(f"{name}, against the listmonk model", NEEDS_GO, goal)
    return compare(name, ours, _rates(model), unit="msg/s", goal=goal, against="the listmonk model", note=_MODEL_NOTE)


def _rates(found: list[Any]) -> list[float]:
    return [one.per_s for one in found]
