"""What the product runs on: settings, database, agenda, queue, files, secrets, egress, embedded services."""
