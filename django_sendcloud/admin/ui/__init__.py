"""Presentation helpers of the admin: badges, durations, links."""
