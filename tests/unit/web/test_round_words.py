"""How a campaign comes again, in words (R13, R17)."""

import pytest
from flask import Flask
from flask_babel import Babel

from saas.web.campaigns.round_words import recurrence_word


@pytest.fixture(scope="module", autouse=True)
def _language():
    app = Flask(__name__)
    Babel(app)
    with app.test_request_context():
        yield


@pytest.mark.parametrize(
    ("recurrence", "said"),
    [
        ({"rule": "FREQ=DAILY", "count": 3}, "every day, 3 times"),
        ({"rule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH", "until": "2026-12-31"},
         "every 2 weeks on Monday and Thursday, until 31 Dec 2026"),
        ({"rule": "FREQ=MONTHLY;BYDAY=1MO,-1FR", "count": 1}, "every month on the first Monday and the last Friday, once"),
        ({"rule": "FREQ=MONTHLY;BYMONTHDAY=1,15,-1", "count": 9, "until": "2027-01-01"},
         "every month on day 1, day 15 and the last day, 9 times, at most until 1 Jan 2027"),
        ({"rule": "FREQ=MONTHLY;BYMONTHDAY=-3"}, "every month on the last day but 2, without an end"),
        ({"rule": "something else", "count": 2}, "something else, 2 times"),
    ],
)  # fmt: skip
def test_r13_a_rule_is_said_in_words(recurrence, said):
    assert recurrence_word(recurrence) == said
