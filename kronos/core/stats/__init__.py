"""Statistics that decide. Each fails closed: doubtful input yields `Inconclusive`, never a number that could pass."""
