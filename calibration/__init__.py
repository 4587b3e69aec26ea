"""Scores in, operating point out: curves, policies, guarantees, probability scaling, plots."""
