"""What sets people moving: the start of a campaign, and the trigger."""
