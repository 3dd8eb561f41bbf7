"""The journey, in numbers: the real app in a real terminal, measured from the key press to what is on the screen."""
