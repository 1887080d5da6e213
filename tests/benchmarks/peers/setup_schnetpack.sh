#!/bin/sh
# SchNetPack 2.1.1 in an environment of its own: sh setup_schnetpack.sh FOLDER
# (2.2.0 wants Python 3.12. 2.1.1 asks for sympy <= 1.12, which no recent torch can live with, and imports a name that
# torch's data loader no longer has: hence --no-deps, the packages it uses by hand, and one changed line.)
set -eu
folder=${1:?"usage: sh setup_schnetpack.sh FOLDER"}
"${PYTHON:-python3}" -m venv "$folder"
python=$folder/bin/python
# torch first: what comes after it then finds it there and pulls no other build
"$python" -m pip install --quiet "torch>=2.10,<2.14"
"$python" -m pip install --quiet --no-deps "schnetpack==2.1.1"
"$python" -m pip install --quiet "torch>=2.10,<2.14" "numpy>=2" "ase>=3.26" "matscipy>=1.1" h5py pyyaml \
    "hydra-core>=1.1" "hydra-colorlog>=1.1" "pytorch-lightning>=2,!=2.6.2,!=2.6.3" torchmetrics rich fasteners dirsync \
    torch-ema tensorboard tensorboardX tqdm protobuf setuptools
loader=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/schnetpack/data/loader.py
sed -i 's/^from torch.utils.data.dataloader import _collate_fn_t, T_co$/from torch.utils.data.dataloader import _collate_fn_t; from typing import TypeVar; T_co = TypeVar("T_co", covariant=True)/' "$loader"
"$python" -c 'import schnetpack, torch; print("schnetpack", schnetpack.__version__, "torch", torch.__version__)'
