"""The method's preprocessing: one file per step, a table of steps, and the chain that a card names."""
