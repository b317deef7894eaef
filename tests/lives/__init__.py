"""Simulated lives: the real engine on real PostgreSQL under a clock of the test's, against tests/reference."""
