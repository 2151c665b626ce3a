"""The state of an installation: a doctor for people, a bundle for support, metrics for monitors."""
