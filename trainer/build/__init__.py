"""The stages of `inandout-train build`, one file each; `pipeline.py` runs them in order."""
