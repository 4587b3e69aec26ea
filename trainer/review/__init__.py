"""The operator's cycle as a local web page: draw defects to order, judge them, hand the good ones to the next build."""
