"""What TaskFlow decides, without I/O and with the clock passed in."""
