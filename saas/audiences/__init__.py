"""Whom a campaign may reach: contacts, attributes, lists, imports, audiences (segments)."""
