"""The hot path: claim, deliver, settle; and what goes with it: ownership, recovery, stop."""
