"""Explanations of errors, failures and health findings in words."""
