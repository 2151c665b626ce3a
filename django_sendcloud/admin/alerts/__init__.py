"""Problems shown to operators: above every page, in the sidebar, by mail."""
