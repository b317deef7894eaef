"""Writes of tenants, one module per noun."""
