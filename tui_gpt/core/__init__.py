"""What every side agrees on: configuration, places, runs and models. Neither torch nor Textual is in reach."""
