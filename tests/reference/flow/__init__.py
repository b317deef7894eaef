"""What flows promise, as a small, plain, slow interpreter of docs/flow.md: no line of it comes from the engine.

`life.play(campaign, people, script)` plays a whole life and returns what has to be true of it (words.Told).
Where the text leaves something open, the choice is a line of CHOICES.md.
"""
