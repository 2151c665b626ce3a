"""Infrastructure that knows neither the shop nor Sendcloud."""
