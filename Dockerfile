# The GPU image: the server with vLLM 0.32.0 on CUDA 13. The model is mounted, never inside.
#
#   (cd web && npm ci && npm run build) && deploy/wheelhouse.sh gpu
#   docker build -t airgap-ocr:latest-gpu .
#
# Without internet, on a machine that already has an older image of ours and the wheelhouse:
#   docker build --build-arg BASE=airgap-ocr:0.1.0-gpu -t airgap-ocr:rebuilt-gpu .

# Ubuntu 24.04: its Python 3.12 is what deploy/lock/requirements-gpu.lock is for. CUDA's libraries come
# as wheels; the base brings the container toolkit's variables and the driver's compatibility libraries.
ARG BASE=docker.io/nvidia/cuda:13.0.2-base-ubuntu24.04

FROM ${BASE} AS system
# gcc, g++ and Python's headers: Triton and torch.compile build their launchers at start.
# The base may be an older image of ours, whose user is not root; the last stage ends as 10001.
# hadolint ignore=DL3002
USER 0
WORKDIR /build
COPY deploy/system_packages.sh ./
RUN sh system_packages.sh \
    g++ \
    gcc \
    libc6-dev \
    nginx-light \
    python3 \
    python3-dev \
    tesseract-ocr-chi-sim \
    tesseract-ocr-chi-tra \
    tesseract-ocr-deu \
    tesseract-ocr-eng \
    tesseract-ocr-fra \
    tesseract-ocr-osd \
    tesseract-ocr-rus

FROM system AS packages
COPY build/wheelhouse-gpu wheels
COPY deploy/lock/requirements-gpu.lock deploy/lock/requirements-pip.lock deploy/install_wheels.sh ./
RUN sh install_wheels.sh requirements-gpu.lock /opt/venv

FROM system
COPY --from=packages /opt/venv /opt/venv
COPY deploy/prepare_image.sh /opt/airgap/
RUN sh /opt/airgap/prepare_image.sh
COPY deploy/nginx /opt/airgap/nginx
COPY deploy/smoke /opt/airgap/smoke
WORKDIR /app
COPY *.py LICENSE NOTICE ./
COPY airgap airgap
COPY process process
COPY web/dist web/dist

# The caches of compiled kernels are under /data: /tmp is memory, and nothing in it may be executed.
ENV PATH=/opt/venv/bin:/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8 \
    HOME=/tmp \
    USER=airgap \
    HOST=0.0.0.0 \
    DATA_DIR=/data \
    XDG_CACHE_HOME=/data/cache \
    VLLM_CACHE_ROOT=/data/cache/vllm \
    TRITON_CACHE_DIR=/data/cache/triton \
    TORCHINDUCTOR_CACHE_DIR=/data/cache/inductor \
    FLASHINFER_WORKSPACE_BASE=/data/cache/flashinfer \
    CUDA_CACHE_PATH=/data/cache/cuda \
    TESSDATA_PREFIX=/usr/share/tesseract-ocr/5/tessdata \
    DO_NOT_TRACK=1 \
    VLLM_NO_USAGE_STATS=1 \
    VLLM_HOST_IP=127.0.0.1 \
    TRITON_ALLOW_NON_CONSTEXPR_GLOBALS=1 \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    DISABLE_SAFETENSORS_CONVERSION=1
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=900s --retries=3 \
    CMD ["python", "/opt/airgap/smoke/smoke.py", "--ready"]
CMD ["python", "serve_ocr.py"]
