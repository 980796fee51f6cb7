"""Searches for the best output, given nothing of a model but its step."""
