"""The functions that experiments invoke. Each file stands alone, as a user's would."""
