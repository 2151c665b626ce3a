"""Parcels and what an update does to a parcel and its order, wherever the update comes from."""
