"""The HTTP API: submit, poll, cancel, list. Submissions and reads that arrive together are served together."""
