"""Ready-made adapters for well-known shops, each an app of its own. Nothing else in the package imports them."""
