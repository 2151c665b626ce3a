"""Data protection and housekeeping: erase, rotate keys, prune."""
