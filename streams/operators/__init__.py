"""What every command of an operator's has in common: it asks, it shows, and it is written down."""
