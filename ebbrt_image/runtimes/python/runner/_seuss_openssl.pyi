"""Types of the C module in ../OpenSslModule.c."""

def restored() -> None:
    """Let OpenSSL's random generators take new seeds before they draw again."""
