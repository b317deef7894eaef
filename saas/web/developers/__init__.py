"""Pages for developers: the API's documentation, served from our own files."""
