"""The outbox in the admin: orders with changes that are not pushed yet."""
