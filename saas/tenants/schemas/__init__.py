"""Shapes of the tenants API."""
