"""Countersign: a campaign platform for agencies. The floors, top to bottom, stand in docs/architecture.md."""
