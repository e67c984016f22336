"""Real servers for tests: found on the machine or in the environment, started on a free port, gone afterwards."""
