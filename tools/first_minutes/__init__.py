"""The first ten minutes of five kinds of user, as commands that must work; see `__main__`."""
