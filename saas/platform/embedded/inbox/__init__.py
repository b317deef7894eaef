"""A mail server that keeps what it is sent and shows it: real SMTP, an API for tests and the demo, pages for people."""
