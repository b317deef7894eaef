"""The set half of each step kind: arrive, due, exits as statements. Its pure twin stands in campaigns/steps."""
