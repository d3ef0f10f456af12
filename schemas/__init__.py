"""Every shape that crosses a process boundary lives here, and nothing here does I/O."""
