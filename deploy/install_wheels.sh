#!/bin/sh
# Inside an image's build: install a lock's wheels from ./wheels into a fresh environment, without a network.
#
#   install_wheels.sh LOCK ENVIRONMENT
#
# The environment holds no pip. Byte code is written with hashes instead of times, so that the same
# wheels always make the same files.
set -eu

lock="$1"
environment="$2"

pip_wheel="$(ls wheels/pip-*.whl)"
digest="$(sha256sum "$pip_wheel" | cut -d ' ' -f 1)"
grep -q -- "--hash=sha256:$digest" requirements-pip.lock || { echo "$pip_wheel: not the locked file" >&2; exit 1; }

rm -rf "$environment"
python3 -m venv --without-pip "$environment"
PYTHONDONTWRITEBYTECODE=1 python3 "$pip_wheel/pip" --python "$environment/bin/python" --isolated install \
    --quiet --disable-pip-version-check --no-cache-dir --no-compile --root-user-action=ignore \
    --no-index -f ./wheels --no-deps --only-binary=:all: --require-hashes --requirement "$lock"
# The packages' own tests are a tenth of numpy, and nothing here runs them.
for package in croniter greenlet jsonschema numpy shapely; do
    find "$environment"/lib/python3*/site-packages/"$package" -name tests -type d -prune -exec rm -rf {} +
done
# pip checks nothing with --no-deps; the lock was resolved as a whole, and this proves that it still fits.
PYTHONDONTWRITEBYTECODE=1 python3 "$pip_wheel/pip" --python "$environment/bin/python" --isolated check
# OpenVINO's report of its use to its maker, its drivers for accelerators that no image is given, and its
# readers of models in other forms than ONNX.
packages="$(echo "$environment"/lib/python3*/site-packages)"
rm -rf "$packages"/openvino_telemetry*
(cd "$packages/openvino/libs" && rm -f cache.json libopenvino_intel_[gn]pu_plugin.so ./*_tensorflow*frontend* \
    ./*_pytorch_frontend* ./*_paddle_frontend* ./*_gguf_frontend* ./*_jax_frontend*)
find "$packages/openvino/frontend" -name 'py_*_frontend*.so' ! -name 'py_onnx_*' -delete
# What compilers and type checkers would want; on a GPU machine kernels are compiled, with the packages' headers.
case "$lock" in
    *-cpu.lock)
        find "$packages" -type f \( -name '*.pyi' -o -name '*.h' -o -name '*.hpp' -o -name '*.c' -o -name '*.cpp' \
            -o -name '*.pyx' -o -name '*.pxd' -o -name '*.a' \) -delete
        # How to colour other languages than Python, which tracebacks are in.
        find "$packages/pygments/lexers" -type f \
            ! -name __init__.py ! -name _mapping.py ! -name python.py ! -name special.py -delete
        ;;
esac
# OpenCV's face detection.
rm -f "$packages"/cv2/data/*.xml
"$environment/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$environment/lib"
