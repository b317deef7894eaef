"""What docs/webhooks.md tells receivers to do works, without our code."""

import re
from datetime import timedelta

from saas.channels.adapters.webhook.signing import headers, new_secret
from saas.channels.adapters.webhook.types import HookSecret
from saas.kernel.clock import SystemClock
from tests.architecture.trees import ROOT

PAGE = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")


def test_the_example_checks_our_signatures():
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert "saas" not in program
    told: dict = {}
    exec(program, told)
    is_ours, now = told["is_ours"], SystemClock().now()
    new, old = new_secret(), new_secret()
    secrets = [HookSecret(new), HookSecret(old, now.replace(year=2999))]
    made = headers(secrets, message_id="m1", at=now, body=b'{"a": 1}')
    assert is_ours(new, made, b'{"a": 1}') and is_ours(old, made, b'{"a": 1}')
    assert not is_ours(new, made, b'{"a": 2}')
    assert not is_ours(new_secret(), made, b'{"a": 1}')
    assert not is_ours(new, {**made, "webhook-id": "m2"}, b'{"a": 1}')
    assert not is_ours(
        new, {**made, "webhook-timestamp": str(int((now - timedelta(seconds=302)).timestamp()))}, b'{"a": 1}'
    )
