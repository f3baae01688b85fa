"""One module per table or figure of the papers; helpers that hold one idea each beside them."""
