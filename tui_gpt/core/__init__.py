"""What every side agrees on: configuration, places, runs and models. Neither torch nor Textual is reachable from here."""
