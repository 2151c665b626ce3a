"""The inbound engine: verify, store, apply. Knows nothing of DRF or Celery."""
