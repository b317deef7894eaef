"""People and programs that sign in: accounts, sessions, API keys."""
