"""Overview page of the admin."""
