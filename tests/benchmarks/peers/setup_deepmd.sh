#!/bin/sh
# DeePMD-kit 3.2.0, PyTorch backend, in an environment of its own: sh setup_deepmd.sh FOLDER
# (Its library of compiled operators is made for torch 2.11.0 alone and refuses any other at import. se_e2_a does not use
# them unless it has been compressed, so the library is set aside. The PyTorch backend imports e3nn, and the library of the
# package links MPI; plain `pip install deepmd-kit` brings neither.)
set -eu
folder=${1:?"usage: sh setup_deepmd.sh FOLDER"}
"${PYTHON:-python3}" -m venv "$folder"
python=$folder/bin/python
# torch first: what comes after it then finds it there and pulls no other build
"$python" -m pip install --quiet "torch>=2.10,<2.14"
"$python" -m pip install --quiet "torch>=2.10,<2.14" "deepmd-kit==3.2.0" mpich "e3nn>=0.6,<0.7" "ase>=3.26"
library=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/deepmd/lib/libdeepmd_op_pt.so
if [ -e "$library" ]; then mv "$library" "$library.aside"; fi
"$python" -c 'import deepmd, deepmd.pt, torch; print("deepmd-kit", deepmd.__version__, "torch", torch.__version__)'
