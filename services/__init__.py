"""The services of Tiendo, what they share, and the command line that speaks to them."""
