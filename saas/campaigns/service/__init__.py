"""What people do with campaigns: draft, review, approve, control."""
