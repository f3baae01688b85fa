"""Nodes that outlive a command: the daemon, its client, and where they meet."""
