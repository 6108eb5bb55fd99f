"""What each command does, one function a command, over a `Draft`.

Promises: a transition checks first and raises `Refused` with what is wrong and what would be right; it returns the
events that became true.
Never: writes to the state itself, and never reads anything but the draft, the entry and its command.
"""
