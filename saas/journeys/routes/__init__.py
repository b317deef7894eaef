"""Routes of journeys."""
