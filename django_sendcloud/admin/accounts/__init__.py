"""Accounts in the admin: the rate limit that integrations share."""
