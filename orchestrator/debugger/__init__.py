"""Looking into a running machine: its registers, memory, stacks and contexts, through QMP."""
