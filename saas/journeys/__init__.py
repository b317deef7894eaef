"""Moves people through campaigns: entries, runs, the trigger; the set half of step kinds."""
