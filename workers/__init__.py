"""Where work is done: artifacts, runtimes, device execution, the supervisor. Serves no HTTP."""
