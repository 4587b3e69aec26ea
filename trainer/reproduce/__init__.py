"""The tables of the In&Out paper on any data set: planned, built cell by cell, and set beside the published figures."""
