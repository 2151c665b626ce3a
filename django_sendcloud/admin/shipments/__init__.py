"""Shipments in the admin, compared with the orders behind them."""
