"""Shipments and outbox entries in the admin."""
