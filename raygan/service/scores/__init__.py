"""Samples of trained generators, and what they are worth."""
