"""What the system itself tells people: mails of the installation, not of a campaign."""
