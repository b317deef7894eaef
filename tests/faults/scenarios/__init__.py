"""One function a fault (reliability.md 4.3)."""
