"""Parts of every list of the admin: filters, saved filters, search, export."""
