"""Campaigns, their revisions, the document that is signed, approval and lifecycle; the pure half of step kinds."""
