"""What the product promises, as a small, plain, slow interpreter of docs/product: no line of it comes from the engine.

It imports nothing of `saas` (tests/architecture/test_reference.py). Whoever drives the engine tells it every fact in
order; it keeps each person's own little story and says what is wrong, and at the end what each may have become.
"""
