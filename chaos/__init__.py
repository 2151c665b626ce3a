"""The chaos run: the example shop under a storm of faults, and a proof of what came of it. ``python -m chaos``."""
