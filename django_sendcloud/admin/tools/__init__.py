"""Pages that examine orders before they are sent, and the installation."""
