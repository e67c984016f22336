"""Contracts: what crosses a process boundary or a module boundary, and nothing that acts."""
