"""Building blocks for the shop's own order admin."""
