"""Presentation helpers of the admin: badges, cells, durations, links."""
