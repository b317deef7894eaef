"""The power check (reliability.md 4.4): thirteen known-bad engines, each of which the tests must catch."""
