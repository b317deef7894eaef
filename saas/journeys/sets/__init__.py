"""Statements over many people at once: who is at a step, which way they go, into which chunks they are put."""
