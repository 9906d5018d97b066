"""The offline demo: scenes drawn by the program, and the small classifier that names them."""
