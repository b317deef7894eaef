"""Put on a process's PYTHONPATH, this gives it a clock that is wrong by SKEW_S seconds."""

import os
from datetime import timedelta

from saas.kernel import clock

_true = clock.SystemClock.now
_skew = timedelta(seconds=float(os.environ.get("SKEW_S", "0")))


def _skewed(self):
    return _true(self) + _skew


clock.SystemClock.now = _skewed
