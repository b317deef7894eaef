"""Real servers for a machine that has none: PostgreSQL, Valkey and a mail inbox. For development, tests and demo."""
