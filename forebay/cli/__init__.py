"""The command line. Errors are one clear line; tracebacks are for our own bugs."""
