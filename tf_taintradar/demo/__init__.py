"""The offline demo: scenes the program draws itself and the small classifier that names them."""
