"""A budget for retries: what could not be done is tried again, but never so often as to be a load.

Every first attempt earns a tenth of a retry, and time some more, so that one who rarely asks can
try again too. Who has nothing left waits for the next one that time earns. So in an overload
retries stay near a tenth of the requests, whatever fails (the retry budget of Finagle; gRPC's
retry throttling and the SRE book's chapter on overload do the same by refusing).
"""

SHARE = 0.1
PER_SECOND = 10.0
MOST = 100.0
"""Saved at most: a burst as after a short outage is retried at once."""


class RetryBudget:
    """Times in seconds by any steady clock."""

    def __init__(self, now_s: float) -> None:
        self.spent = 0
        self._saved = MOST
        self._at_s = now_s

    def earn(self, now_s: float) -> None:
        """A first attempt is made."""
        self._pass(now_s)
        self._saved = min(self._saved + SHARE, MOST)

    def spend(self, now_s: float) -> float:
        """Take one retry; return the seconds until it may be made, 0 while there are savings."""
        self._pass(now_s)
        self._saved -= 1
        self.spent += 1
        return max(-self._saved, 0.0) / PER_SECOND

    def give_back(self) -> None:
        """A retry that was taken is not made after all."""
        self._saved = min(self._saved + 1, MOST)
        self.spent -= 1

    def _pass(self, now_s: float) -> None:
        earned = max(now_s - self._at_s, 0.0) * PER_SECOND
        self._saved = min(self._saved + earned, MOST)
        self._at_s = now_s
