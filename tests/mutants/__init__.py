"""The power check (reliability.md 4.4): thirteen known-bad engines of sending and ten of flows, each of which the tests must catch."""
