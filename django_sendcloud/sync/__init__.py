"""The engine: what changed is recorded, claimed, built, pushed and settled. Knows nothing of Celery."""
