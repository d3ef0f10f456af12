"""All of TaskFlow in one process, with fake time and faults, as a function of one number."""
