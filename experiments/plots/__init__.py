"""Plots, one module per experiment; each also runs by itself on a results folder."""
