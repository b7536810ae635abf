"""The papers: a strategy is named as in a config; SGAN and PMGAN are folders, a file for each thing
that their papers name.

Law: plain PyTorch decides and trains. Nothing here imports Ray; a strategy returns orders, someone
else carries them out.
"""

NOT_COMPONENTS = ("base", "batching", "meetings", "orders", "partition", "roles", "sources")
