"""Version 3 of Sendcloud's API: orders, integrations with their logs, shipments."""
