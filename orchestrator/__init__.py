"""The host side of SEUSS: machines, capture and restore, dispatch, and the command line."""
