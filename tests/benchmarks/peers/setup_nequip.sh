#!/bin/sh
# NequIP 0.19.1 in an environment of its own: sh setup_nequip.sh FOLDER
set -eu
folder=${1:?"usage: sh setup_nequip.sh FOLDER"}
"${PYTHON:-python3}" -m venv "$folder"
python=$folder/bin/python
# torch first: what comes after it then finds it there and pulls no other build
"$python" -m pip install --quiet "torch>=2.10,<2.14"
# those two releases of lightning carried a credential stealer (GHSA-w37p-236h-pfx3)
"$python" -m pip install --quiet "torch>=2.10,<2.14" "nequip==0.19.1" "lightning!=2.6.2,!=2.6.3" "ase>=3.26"
"$python" -c 'import nequip, nequip.model, torch; print("nequip", nequip.__version__, "torch", torch.__version__)'
