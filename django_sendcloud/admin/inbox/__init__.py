"""The inbox in the admin: webhooks, replayed and dismissed."""
