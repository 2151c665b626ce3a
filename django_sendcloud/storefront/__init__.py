"""Building blocks for the pages of the shop itself: tracking, service points, forms."""
