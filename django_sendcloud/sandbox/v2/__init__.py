"""Version 2 of Sendcloud's API: integrations with their shipments and logs, parcels, labels."""
