"""Other ways to run a function, measured beside ours in the same run."""
