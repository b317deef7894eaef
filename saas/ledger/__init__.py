"""What is known about people: models and queries only. Written by sending, journeys, intake and audiences."""
