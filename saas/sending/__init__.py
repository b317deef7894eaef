"""Hands messages over: claim, send, settle, recover, try again, stop (ledger.md)."""
