"""What happened, in words: the side bar of every overview, and the audit log's page (M7)."""
