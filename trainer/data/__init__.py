"""Labelled image sets: readers, checks, splits, a synthetic set, downloads."""
