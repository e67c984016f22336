"""How records carry inputs and answers."""
