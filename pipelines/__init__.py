"""How work moves: receive → claim → pack → predict → judge → record → settle. No model runtime, no web framework."""
