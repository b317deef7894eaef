"""What the system itself tells people: mails of the installation, alerts that somebody has to look at."""
