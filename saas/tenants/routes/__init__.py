"""The API of tenants: workspaces and projects, their people, agencies."""
