"""Simulated lives of flows: the real engine, visit by visit, against the interpreter of tests/reference/flow."""
