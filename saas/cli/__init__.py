"""Commands: `saas …`. They call the same services as pages and API, and commit once in `saas.cli.shell`."""
