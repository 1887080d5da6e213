#!/bin/sh
# MACE 0.3.16 in an environment of its own: sh setup_mace.sh FOLDER
set -eu
folder=${1:?"usage: sh setup_mace.sh FOLDER"}
"${PYTHON:-python3}" -m venv "$folder"
python=$folder/bin/python
# torch first: what comes after it then finds it there and pulls no other build
"$python" -m pip install --quiet "torch>=2.10,<2.14"
"$python" -m pip install --quiet "torch>=2.10,<2.14" "mace-torch==0.3.16" "ase>=3.26"
"$python" -c 'import mace, torch; print("mace", mace.__version__, "torch", torch.__version__)'
