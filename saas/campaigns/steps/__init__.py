"""The pure half of each step kind: settings, validation, exits. Its twin of the same name stands in journeys/steps."""
