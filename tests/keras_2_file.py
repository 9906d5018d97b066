"""Weights files as Keras 2 writes them and keras-vggface publishes them."""

import h5py


def write(path, model, *, without=(), change=None, whole=False):
    """Weights as Keras 2 writes them, with `/` in some names."""
    with h5py.File(path, "w") as file:
        if whole:
            file.attrs["model_config"] = "{}"
        group = file.create_group("model_weights") if whole else file
        names = []
        for layer in model.layers:
            if layer.name in without:
                continue
            name = layer.name.replace("_relu", "/relu").replace("_softmax", "/softmax")
            names.append(name.encode())
            own = group.create_group(name)
            kinds = [f"{name}/{kind}:0".encode() for kind in ("kernel", "bias")]
            own.attrs["weight_names"] = kinds[: len(layer.weights)]
            for kind, weight in zip(kinds, layer.get_weights(), strict=False):
                own[kind.decode()] = weight if change is None else change(layer.name, weight)
        group.attrs["layer_names"] = names
    return path
