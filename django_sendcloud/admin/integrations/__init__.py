"""Integrations in the admin: list, page, connecting, settings, webhook, logs."""
