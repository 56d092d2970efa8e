"""Write the weights of NVIDIA's StyleGAN2-ADA to a file that Ganvas imports.

Run it where NVIDIA's code and PyTorch are installed; Ganvas isn't needed:

    python export_stylegan2.py --code stylegan2-ada-pytorch ffhq.pkl ffhq.npz

Then, in a project of Ganvas:

    kedro import-stylegan2 ffhq.npz --name ffhq

A .pkl file is a program: loading one executes what its author wrote, so load only files that you
trust. The .npz file has numbers and text alone. The weights keep the license of their owner, for
NVIDIA's own the NVIDIA Source Code License, which permits no commercial use.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

# What the constructors keep as attributes, if they were not called with keywords.
ATTRIBUTES = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")


def export_networks(generator, discriminator, source: str, file: Path) -> None:
    """Write the averaged generator and the discriminator to a .npz file.

    Args:
        generator: `G_ema` of a network pickle.
        discriminator: `D` of the same.
        source: Name of the pickle, for the record.
        file: File to write.
    """
    config = {"format": "stylegan2-ada", "version": 1, "source": source}
    arrays = {}
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        attributes = {key: getattr(network, key) for key in ATTRIBUTES if hasattr(network, key)}
        config[name] = {**network.init_kwargs, **attributes}
        for key, tensor in network.state_dict().items():
            arrays[f"{name}/{key}"] = tensor.detach().cpu().float().numpy()
    partial = file.with_name(f".{file.name}.partial")
    try:
        with partial.open("wb") as stream:
            np.savez(stream, config=json.dumps(config), **arrays)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def main() -> None:
    """Read the command line, load the pickle and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pickle", type=Path, help="network pickle of stylegan2-ada-pytorch")
    parser.add_argument("output", type=Path, help="file to write, such as ffhq.npz")
    parser.add_argument(
        "--code",
        type=Path,
        default=Path(),
        help="folder of NVlabs/stylegan2-ada-pytorch; default: the working folder",
    )
    options = parser.parse_args()
    if not (options.code / "legacy.py").is_file():
        parser.error(f"{options.code} has no legacy.py: set --code to the folder of NVIDIA's code")
    if options.output.suffix != ".npz":
        parser.error(f"{options.output} must end in .npz")
    sys.path.insert(0, str(options.code.resolve()))
    import legacy

    with options.pickle.open("rb") as stream:
        networks = legacy.load_network_pkl(stream)
    export_networks(networks["G_ema"], networks["D"], options.pickle.name, options.output)
    size = options.output.stat().st_size / 2**20
    print(f"{options.output} ({size:.0f} MB). To use it: kedro import-stylegan2 {options.output}")


if __name__ == "__main__":
    main()
