"""What an input of a sample may be: how it is read, checked, scaled and changed."""
