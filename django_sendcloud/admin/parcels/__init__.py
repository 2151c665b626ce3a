"""Parcels and label printing in the admin."""
