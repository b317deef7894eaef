"""The fault suite of reliability.md 4: real processes, forty disasters, invariants after each. `python -m tests.faults`."""
