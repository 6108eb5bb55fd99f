"""The hands: the supervisor, its runners, and the daemon's side of them."""
