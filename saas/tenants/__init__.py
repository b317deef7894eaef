"""Agencies, their client workspaces (tenants), projects, members and invitations."""
