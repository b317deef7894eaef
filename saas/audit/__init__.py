"""The audit chain: every change of state leaves an entry that refers to the one before by its hash (product U2)."""
