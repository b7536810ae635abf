"""Scores, each with its protocol, its floor and its ceiling. Nothing here imports Ray."""
